// Attention by a sigmoid in place of the softmax (Ramapuram et al. 2024): token i gives each token t <= i the
// weight sigmoid(<query_i, key_t> / sqrt(D) - log n), n the tokens that it sees. Weights do not compete, and
// rows do not sum to one. Ramapuram et al. subtract the log of the length of the sequence from all rows.
#include "models/attention/composed.h"

namespace ef {
namespace {

struct SigmoidAttention : ComposedAttention {
  using ComposedAttention::ComposedAttention;
  Tensor logits_of(const Tensor& products) const override {
    const Index tokens = products.shape[3], rows = products.shape[2];
    return subtract(products, reshape(log(sum(causal_mask(tokens, rows), 1)), {1, 1, rows, 1}));
  }
  Tensor pattern_of(const Tensor& logits) const override {
    return where(causal_mask(logits.shape[3], logits.shape[2]), sigmoid(logits), 0);
  }
  std::string not_in_w() const override { return "the log of how many tokens are seen"; }
};

const Registered<Attention, SigmoidAttention> by_sigmoid("sigmoid",
                                                         "a sigmoid of each logit: no competition");

}  // namespace
}  // namespace ef
