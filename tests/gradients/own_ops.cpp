#include "engine/ops.h"
#include "engine/place_by_place.h"

namespace ef {

// x / (1 + |x|), and its slope 1 / (1 + |x|)^2.
Tensor softsign(const Tensor& x);
EF_UNARY(softsign, x / (1 + std::fabs(x)), 1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))), everywhere)

// softmax(factor q k^T) v, where a token sees itself and the window - 1 before it. All are [B, T, C].
Tensor window_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double factor,
                        Index window) {
  const Tensor logits = scale(matmul(split_heads(q, heads), split_heads(k, heads), false, true), factor);
  const Tensor pattern = softmax(where(window_mask(q.shape[1], window), logits, unseen));
  return merge_heads(matmul(pattern, split_heads(v, heads)));
}

}  // namespace ef
