// Linear attention (Katharopoulos et al. 2020): the weight of token t for token i is the product of their
// features, and no softmax of it,
//
//   a_it = <phi(q_i), phi(k_t)> / sum_j<=i <phi(q_i), phi(k_j)>,   phi(x) = elu(x) + 1 > 0,
//
// so that rows sum to one. As sums over t can be carried along, the cost may grow with T alone. Here the
// pattern is formed, with T^2 entries, so that it can be looked at: the same numbers up to rounding.
#include "engine/place_by_place.h"
#include "models/transformer.h"

namespace ef {
namespace {

// elu(x) + 1: x + 1 above 0, e^x below. Its slope is continuous.
EF_UNARY(elu_plus_one, x > 0 ? x + 1 : fast_exp(x), x > 0 ? Real(1) : y, everywhere)

constexpr double epsilon = 1e-6;  // beside the sum of a row, as in their code: a sum of zeros gives zeros

struct LinearAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;

  Tensor mix(const Tensor& q, const Tensor& k, const Tensor& v) const override {
    see_logits.none("linear attention forms none");
    const Tensor products =
        matmul(split_heads(elu_plus_one(q), heads), split_heads(elu_plus_one(k), heads), false, true);
    const Tensor causal = mul(products, causal_mask(k.shape[1], q.shape[1]));  // [B, H, n, T]
    const Tensor row_sum = insert_axis(add(sum(causal, 3), epsilon), 3);       // [B, H, T, 1]
    const Tensor pattern = see_pattern(divide(causal, row_sum));
    return merge_heads(matmul(pattern, split_heads(v, heads)));
  }

  // <phi(q), phi(k)> is no x W x^T.
  std::vector<QKProduct> qk() const override { return {}; }
};

const Registered<Attention, LinearAttention> linear_attention("linear",
                                                              "products of features instead of a softmax");

}  // namespace
}  // namespace ef
