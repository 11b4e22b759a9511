// The table of contents of the engine: one declaration an op, with the shapes that go in and come out.
//
// Each op checks its shapes (Error), computes on the current Tape, and records its backward there. Its
// derivation stands above its code in engine/ops/. "[..., C]" means any number of leading axes. Nothing is
// broadcast silently except where it says so. The letters: B batch, T tokens, C channels, H heads, D = C / H,
// V vocabulary, M, N, K any sizes.
#pragma once
#include <cstdint>
#include <span>

#include "engine/tensor.h"

namespace ef {

// ops/elementwise.cpp
Tensor add(const Tensor& a,
           const Tensor& b);  // [..., S] + [S] -> [..., S]: S, the shape of b, ends that of a
Tensor mul(const Tensor& a, const Tensor& b);  // element by element, shapes as for add
Tensor scale(const Tensor& x, Real factor);    // factor * x
Tensor dropout(const Tensor& x,
               double p);  // x / (1 - p), or 0 with probability p; x itself when not training

// ops/activation.cpp: element by element
Tensor relu(const Tensor& x);       // max(x, 0)
Tensor gelu(const Tensor& x);       // x Phi(x), with erf
Tensor gelu_tanh(const Tensor& x);  // the tanh approximation of gelu that GPT-2 uses
Tensor silu(const Tensor& x);       // x / (1 + e^-x)

// ops/shape.cpp
Tensor reshape(const Tensor& x, const Shape& shape);  // the same numbers under another shape; shares memory
Tensor transpose(const Tensor& x, int axis_a, int axis_b);  // swaps two axes
Tensor sum(const Tensor& x);                                // [...] -> [1]
Tensor sum(const Tensor& x, int axis);                      // the axis is removed
Tensor mean(const Tensor& x);                               // [...] -> [1]
Tensor mean(const Tensor& x, int axis);                     // the axis is removed

// ops/matmul.cpp
// y = x w^T + b: x [..., K], w [N, K], b [N] or an empty Tensor -> [..., N]
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b);
// a [..., M, K] times b [..., K, N] -> [..., M, N], equal leading axes; stored the other way round where a
// transpose is asked for: a [..., K, M], b [..., N, K]
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

// ops/norm.cpp: over the last axis
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias,
                  double epsilon);                                     // gain [C], bias [C] or empty
Tensor rms_norm(const Tensor& x, const Tensor& gain, double epsilon);  // gain [C]

// ops/softmax.cpp: over the last axis
Tensor softmax(const Tensor& x);
Tensor causal_softmax(const Tensor& x);  // [..., T, T]: row i over its entries 0..i, zeros after them

// ops/attention.cpp
// Causal multi-head attention: q, k, v [B, T, C], head h in channels [h D, (h + 1) D) -> [B, T, C].
// For each head softmax(scale q k^T) v over the tokens not after the query. pattern: where to put the
// attention weights [B, H, T, T], or nullptr. Memory grows with T, not T^2: the weights are recomputed in the
// backward.
Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale,
                        Real* pattern = nullptr);

// ops/embedding.cpp
// Rows of table [V, C] by id -> [ids_shape..., C]. The ids must outlive the backward. Error for an id outside
// [0, V).
Tensor embedding(const Tensor& table, std::span<const std::int32_t> ids, const Shape& ids_shape);

// ops/cross_entropy.cpp
struct CrossEntropy {
  double divisor = 1;          // the sum over tokens is divided by this
  double label_smoothing = 0;  // this share of the target's probability is spread evenly over all V classes
};
inline constexpr std::int32_t ignored = -1;  // a target that is not scored
// sum over rows of -log softmax(logits)[target] in nats, divided: logits [..., V] -> [1]. As many targets as
// rows; they must outlive the backward. Error for a target that is neither a class nor `ignored`.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                     const CrossEntropy& options = {});

}  // namespace ef
