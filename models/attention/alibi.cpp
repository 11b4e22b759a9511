// Attention with linear biases (Press et al. 2022): head h of H = 1..H pays 2^(-8 h / H) for each token between
// query and key. It needs no other positions: --positions none.
#include "models/transformer.h"

namespace ef {
namespace {

struct AlibiAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;

  // -slope_h (i - t) where token i sees token t, of no meaning elsewhere: [H, T, T]
  Tensor penalty(Index tokens) const {
    const Tensor mask = causal_mask(tokens);
    const Tensor distance = add(cumulative_sum(mask, 0), -1.0);  // as many rows see t up to row i
    const Tensor head = sum(causal_mask(heads), 1);              // 1..H
    const Tensor slope = ef::exp(ef::scale(head, -8 * std::log(2.0) / static_cast<double>(heads)));
    return mul(expand(negate(distance), {heads, tokens, tokens}), reshape(slope, {heads, 1, 1}));
  }

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor logits = see_logits(add(ef::scale(products, scale), penalty(x.shape[1])));
    const Tensor pattern = see_pattern(causal_softmax(logits));
    return out.forward(see_z(merge_heads(matmul(pattern, split_heads(v, heads)))));
  }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = SoftmaxAttention::qk();
    for (QKProduct& product : products) product.left_out = "the penalty of distance, " + product.left_out;
    return products;
  }
};

const Registered<Attention, AlibiAttention> alibi("alibi", "logits pay for distance, each head another price");

}  // namespace
}  // namespace ef
