// Attention with a sink (Miller 2023, "Attention is off by one"): softmax1_t(s) = e^{s_t} / (1 + sum_j e^{s_j}).
// A token may look at nothing: its row sums to sigmoid(log sum_j e^{s_j}), which is less than one.
#include "models/transformer.h"

namespace ef {
namespace {

struct Softmax1Attention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor logits = see_logits(ef::scale(products, scale));  // [B, H, T, T]
    const Tensor causal = where(causal_mask(x.shape[1]), logits, unseen);
    const Tensor looks = sigmoid(insert_axis(log_sum_exp(causal, 3), 3));  // [B, H, T, 1]
    const Tensor pattern = see_pattern(mul(softmax(causal), looks));
    return out.forward(see_z(merge_heads(matmul(pattern, split_heads(v, heads)))));
  }
};

const Registered<Attention, Softmax1Attention> softmax1("softmax1",
                                                        "with a sink: a row may sum to less than one");

}  // namespace
}  // namespace ef
