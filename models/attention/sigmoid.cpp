// Attention by a sigmoid in place of the softmax (Ramapuram et al. 2024): token i gives each token t <= i the
// weight sigmoid(<query_i, key_t> / sqrt(D) - log n), n the tokens that it sees. Weights do not compete, and rows
// do not sum to one. Ramapuram et al. subtract the log of the length of the sequence from all rows.
#include "models/transformer.h"

namespace ef {
namespace {

struct SigmoidAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor mask = causal_mask(x.shape[1]);
    const Tensor log_count = reshape(log(sum(mask, 1)), {1, 1, x.shape[1], 1});
    const Tensor logits = see_logits(subtract(ef::scale(products, scale), log_count));  // [B, H, T, T]
    const Tensor pattern = see_pattern(where(mask, sigmoid(logits), 0));
    return out.forward(see_z(merge_heads(matmul(pattern, split_heads(v, heads)))));
  }
};

const Registered<Attention, SigmoidAttention> by_sigmoid("sigmoid", "a sigmoid of each logit: no competition");

}  // namespace
}  // namespace ef
