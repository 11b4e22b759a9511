// Attention with linear biases (Press et al. 2022): head h of H = 1..H pays 2^(-8 h / H) for each token
// between query and key. It needs no other positions: --positions none.
#include "models/attention/composed.h"

namespace ef {
namespace {

struct AlibiAttention : ComposedAttention {
  using ComposedAttention::ComposedAttention;
  Tensor logits_of(const Tensor& products) const override {
    const Index tokens = products.shape[3], rows = products.shape[2], before = tokens - rows;
    // -slope_h (i - t) where token i sees token t, of no meaning elsewhere: [H, n, T]
    const Tensor at = cumulative_sum(causal_mask(tokens), 0);  // as many rows see t up to row i: i - t + 1
    const Tensor distance = add(slice(at, 0, before, rows), -1.0);
    const Tensor head = sum(causal_mask(heads), 1);  // 1..H
    const Tensor slope = ef::exp(ef::scale(head, -8 * std::log(2.0) / static_cast<double>(heads)));
    return add(products, mul(expand(negate(distance), {heads, rows, tokens}), reshape(slope, {heads, 1, 1})));
  }
  std::string not_in_w() const override { return "the penalty of distance"; }
};

const Registered<Attention, AlibiAttention> alibi("alibi",
                                                  "logits pay for distance, each head another price");

}  // namespace
}  // namespace ef
