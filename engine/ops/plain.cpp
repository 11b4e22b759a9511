// The fused ops, and what they compute as a textbook writes it: op by op.
#include <algorithm>

#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

Tensor split_heads(const Tensor& x, Index heads) {
  check_shape(x.shape.rank == 3 && heads > 0 && x.shape[2] % heads == 0, "split_heads", "x", x,
              "[B, T, C], C a multiple of ", heads, " heads");
  return transpose(reshape(x, {x.shape[0], x.shape[1], heads, x.shape[2] / heads}), 1, 2);
}

Tensor merge_heads(const Tensor& x) {
  check_shape(x.shape.rank == 4, "merge_heads", "x", x, "[B, H, T, D]");
  return reshape(transpose(x, 1, 2), {x.shape[0], x.shape[2], x.shape[1] * x.shape[3]});
}

namespace {

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double factor,
                       const AttentionSeen& seen) {
  const Tensor logits =
      scale(matmul(split_heads(q, heads), split_heads(k, heads), false, true), Real(factor));
  const Tensor weights = causal_softmax(logits);
  if (seen.pattern) std::copy_n(weights.data, weights.size(), seen.pattern);
  if (seen.logits) {
    const Index tokens = q.shape[1];
    for (Index row = 0; row < logits.size() / tokens; ++row) {
      const Index sees = row % tokens + 1;
      Real* out = seen.logits + row * tokens;
      std::copy_n(logits.data + row * tokens, sees, out);
      std::fill(out + sees, out + tokens, Real(0));
    }
  }
  return merge_heads(matmul(weights, split_heads(v, heads)));
}

Tensor plain_feed_forward(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                          const Tensor& down_bias, const Activation& f) {
  return linear(f.op(linear(x, up, up_bias)), down, down_bias);
}

Tensor plain_head(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                  const CrossEntropy& options) {
  return cross_entropy(linear(x, w, {}), targets, options);
}

}  // namespace

const FusedOps& fused_ops() {
  static const FusedOps ops{causal_attention, feed_forward, linear_cross_entropy};
  return ops;
}

const FusedOps& plain_ops() {
  static const FusedOps ops{plain_attention, plain_feed_forward, plain_head};
  return ops;
}

}  // namespace ef
