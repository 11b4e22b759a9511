// The table of contents of the engine: one declaration an op, with the shapes that go in and come out.
//
// Each op checks its shapes (Error), computes on the current Tape, and records its backward there. Its
// derivation stands above its code in engine/ops/. "[..., C]" means any number of leading axes. The letters:
// B batch, T tokens, C channels, H heads, D = C / H, V vocabulary, M, N, K any sizes.
#pragma once
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <vector>

#include "engine/tensor.h"

namespace ef {

// ops/elementwise.cpp: element by element; one line an op (engine/place_by_place.h).
// Where two tensors meet, the result has the shape of the first, [...]. The other is repeated to fit it, in
// two cases and no other:
//   - its shape is how that of the first ends: [C] beside [B, T, C], as a bias;
//   - it has as many axes, and those that differ are 1: [B, 1, C] or [1, T, 1] beside [B, T, C].
// So no op makes a tensor larger than its first one, and no axis is stretched but where its 1 was written
// (insert_axis): numpy's rule adds missing axes in front by itself, and so turns [N] - [N, 1], a slip, into
// an [N, N]; here that is an Error. Where the first is the smaller one, expand() says so. (What shapes cannot
// tell is a size that only happens to be 1, as that of a batch of one.)
Tensor add(const Tensor& a, const Tensor& b);       // a + b
Tensor add(const Tensor& x, double c);              // x + c
Tensor subtract(const Tensor& a, const Tensor& b);  // a - b
Tensor negate(const Tensor& x);                     // -x
Tensor mul(const Tensor& a, const Tensor& b);       // a b
Tensor scale(const Tensor& x, double c);            // c x
Tensor divide(const Tensor& a, const Tensor& b);    // a / b
Tensor power(const Tensor& x, double c);            // x^c; NaN for x < 0 unless c is whole
Tensor exp(const Tensor& x);                        // e^x
Tensor log(const Tensor& x);                        // natural; -infinity at 0, NaN below
Tensor sqrt(const Tensor& x);                       // NaN below 0; its slope at 0 is infinite
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);                   // 1 / (1 + e^-x)
Tensor minimum(const Tensor& a, const Tensor& b);  // the smaller one; where they are equal a has the gradient
Tensor minimum(const Tensor& x, double c);         // no gradient where x is c or more
Tensor maximum(const Tensor& a, const Tensor& b);  // the larger one; where they are equal a has the gradient
Tensor maximum(const Tensor& x, double c);         // no gradient where x is c or less
Tensor dropout(const Tensor& x,
               double p);  // x / (1 - p), or 0 with probability p; x itself when not training

// Masks are tensors of ones and zeros that have no gradient: 1 where the condition holds (not for a NaN).
Tensor less(const Tensor& x, double c);      // x < c
Tensor at_most(const Tensor& x, double c);   // x <= c
Tensor greater(const Tensor& x, double c);   // x > c
Tensor at_least(const Tensor& x, double c);  // x >= c

// ops/masks.cpp
// 1 where seen(row, column), else 0: [rows, columns]
Tensor position_mask(Index rows, Index columns, const std::function<bool(Index row, Index column)>& seen);
// [rows, T]: row i of T sees columns 0..i. rows: only the last so many, as of a product of new queries with
// all keys; by default all T.
Tensor causal_mask(Index tokens, Index rows = -1);
// The same, and no more than `window` columns, itself among them.
Tensor window_mask(Index tokens, Index window, Index rows = -1);
// a where the mask is not 0, else b: a [...], mask and b repeated to fit a. What is not chosen gets a
// gradient of 0, and its NaN or infinity does not pass; but 0 times an infinite slope below it is NaN: choose
// before a log or a division, not after it. Error for a mask with a gradient.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& mask, const Tensor& a, double b);
// For where(causal_mask(T), logits, unseen) before a softmax: e^unseen is 0, and unseen is finite, so
// Tape::check_finite finds nothing wrong with it. (A row that sees nothing at all gets equal weights.)
inline constexpr double unseen = -1e30;

// ops/activation.cpp: element by element
Tensor relu(const Tensor& x);          // max(x, 0)
Tensor gelu(const Tensor& x);          // x Phi(x), with erf
Tensor gelu_tanh(const Tensor& x);     // the tanh approximation of gelu that GPT-2 uses
Tensor silu(const Tensor& x);          // x / (1 + e^-x)
Tensor squared_relu(const Tensor& x);  // max(x, 0)^2
// The same by name ("relu", "gelu-tanh", ...; EF_ACTIVATION in engine/place_by_place.h adds to them), and as
// the loops of which a fused op is made.
struct Activation {
  const char* name;
  Tensor (*op)(const Tensor&);
  void (*values)(const Real* x, Real* y, Index n);                       // y = f(x)
  void (*values_and_slopes)(const Real* x, Real* y, Real* dy, Index n);  // y = f(x), dy = f'(x) dy
};
const std::vector<Activation>& activations();

// ops/shape.cpp. An axis counts from 0; Error for one that is not there.
Tensor reshape(const Tensor& x, const Shape& shape);  // the same numbers under another shape; shares memory
Tensor insert_axis(const Tensor& x, int axis);        // [..., 1, ...]: a 1 before that axis, or at the end
Tensor transpose(const Tensor& x, int axis_a, int axis_b);  // swaps two axes
Tensor expand(const Tensor& x, const Shape& shape);         // repeated to fit the shape, by the rule above
// [..., N, ...] -> [..., count, ...]: places first .. first + count - 1 of the axis. Error unless they exist.
Tensor slice(const Tensor& x, int axis, Index first, Index count);
// One behind the other along the axis; all other axes alike. Error for no parts.
Tensor concatenate(std::span<const Tensor> parts, int axis);
Tensor concatenate(std::initializer_list<Tensor> parts, int axis);
// [..., N, ...] -> [..., ids, ...]: places of the axis by id, which may come again. The ids must outlive the
// backward. Error for an id outside [0, N).
Tensor gather(const Tensor& x, int axis, std::span<const std::int32_t> ids);
// Of each line along the axis the number at its id: the axis is removed. As many ids as lines, in the order
// of the result; they must outlive the backward. Error for an id outside [0, N).
Tensor pick(const Tensor& x, int axis, std::span<const std::int32_t> ids);

// ops/reduce.cpp: along an axis, which is removed (of [N] there remains [1])
Tensor sum(const Tensor& x);  // [...] -> [1]
Tensor sum(const Tensor& x, int axis);
Tensor mean(const Tensor& x);  // [...] -> [1]; Error for no elements, as for the three below
Tensor mean(const Tensor& x, int axis);
Tensor max(const Tensor& x, int axis);             // the gradient goes to the first of the largest
Tensor log_sum_exp(const Tensor& x, int axis);     // log(sum e^x), which does not overflow
Tensor cumulative_sum(const Tensor& x, int axis);  // [...] as x: each the sum of itself and those before it

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
// [..., T, T]: row i over its entries 0..i, zeros after them. Of [..., n, T] the rows are the last n of T.
Tensor causal_softmax(const Tensor& x);

// ops/attention.cpp
// Causal multi-head attention: q, k, v [B, T, C], head h in channels [h D, (h + 1) D) -> [B, T, C].
// For each head softmax(scale q k^T) v over the tokens not after the query. Memory grows with T, not T^2: the
// weights are recomputed in the backward.
// seen: where to put what is inside, [B, H, T, T] each, or nullptr. Of the logits scale q k^T the entries of
// what a query sees, 0 elsewhere; the attention weights.
struct AttentionSeen {
  Real *logits = nullptr, *pattern = nullptr;
};
Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale,
                        const AttentionSeen& seen = {});
// ops/attention_parts.cpp: for attentions that are composed op by op
Tensor soft_cap(const Tensor& x, double cap);  // cap tanh(x / cap), within +- cap; Error unless cap > 0
Tensor mean_entropy(const Tensor& p);          // rows of probabilities [..., N] -> [1]: their mean, in nats
Tensor scale_by_ratio(const Tensor& x, const Tensor& a, const Tensor& b);  // (a / b) x; a and b [1]

// ops/feed_forward.cpp
// linear(f(linear(x, up, up_bias)), down, down_bias) in blocks of rows: x [..., C], up [F, C], down [N, F],
// up_bias [F], down_bias [N] or empty -> [..., N]. Keeps one tensor [..., F] instead of two, and none of
// their gradients.
Tensor feed_forward(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                    const Tensor& down_bias, const Activation& f);

// ops/embedding.cpp
// Rows of table [V, C] by id -> [ids_shape..., C]. The ids must outlive the backward. Error for an id outside
// [0, V).
Tensor embedding(const Tensor& table, std::span<const std::int32_t> ids, const Shape& ids_shape);

// ops/cross_entropy.cpp
struct CrossEntropy {
  double divisor = 1;          // the sum over tokens is divided by this
  double label_smoothing = 0;  // this share of the target's probability is spread evenly over all V classes
  // Of linear_cross_entropy: how a logit reaches the gradient, kept or recomputed. The numbers are the same
  // up to rounding. Where no gradient is wanted, logits are never kept.
  enum class Logits { automatic, kept, recomputed } logits = Logits::automatic;
};
inline constexpr std::int32_t ignored = -1;  // a target that is not scored
// sum over rows of -log softmax(logits)[target] in nats, divided: logits [..., V] -> [1]. As many targets as
// rows; they must outlive the backward. Error for a target that is neither a class nor `ignored`.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                     const CrossEntropy& options = {});
// cross_entropy(linear(x, w, {}), targets, options), in blocks: x [..., C], w [V, C] -> [1]. The logits are
// never all in memory; takes memory for one gradient of w.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                            const CrossEntropy& options = {});

// ops/plain.cpp
Tensor split_heads(const Tensor& x, Index heads);  // [B, T, C] -> [B, H, T, D]
Tensor merge_heads(const Tensor& x);               // and back
// The ops that do in one pass what a textbook writes op by op, as a table, and the same table
// in the textbook's way: the same numbers up to rounding, slower and with more memory, to learn from and to
// check against.
struct FusedOps {
  Tensor (*attention)(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale,
                      const AttentionSeen& seen);
  Tensor (*feed_forward)(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                         const Tensor& down_bias, const Activation& f);
  Tensor (*head)(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                 const CrossEntropy& options);
};
const FusedOps& fused_ops();  // causal_attention, feed_forward, linear_cross_entropy
const FusedOps& plain_ops();

// ops/spectral.cpp: eigenvalues, singular values and other readings of a matrix. Those that come from LAPACK
// throw NumericalError for a matrix with NaN or infinity, and allocate; vectors are computed only where a
// gradient is wanted, and are never outputs.
// General real [N, N] -> [N, 2], a row (real part, imaginary part) an eigenvalue: real parts descending, then
// |imaginary parts| descending; a conjugate pair stands together, its positive imaginary part first. Which
// place an eigenvalue takes is not continuous in m: sum a symmetric function over all places.
Tensor eigenvalues(const Tensor& m);
// How many contributions to gradients the backward of eigenvalues() has left out, on all threads since the
// program started, because their eigenvalue was near-defective: its right and left unit vectors have
// |u^H v| < 4 sqrt(epsilon), so that nothing is known of its derivative. It only grows: to count from now
// on, subtract what it is now.
Index near_defective_count();
// Of (a + a^T) / 2: [N, N] -> [N], ascending
Tensor symmetric_eigenvalues(const Tensor& a);
Tensor singular_values(const Tensor& a);  // [M, N] -> [min(M, N)], descending
// Readings of W = q^T k [C, C] for q, k [D, C], without forming it: tr W, tr W^2 and |W|_F^2 -> [1]. q and k
// are weights of linear(), so W is the W_Q W_K^T of a head, with W_Q = q^T and W_K = k^T. W has the
// eigenvalues of the core k q^T [D, D], and C - D zeros. Like all of these readings the core is computed by
// gemm_exact, whatever the precision of matmul.
Tensor product_core(const Tensor& q, const Tensor& k);
Tensor product_trace(const Tensor& q, const Tensor& k);
Tensor product_trace_square(const Tensor& q, const Tensor& k);
Tensor product_frobenius_square(const Tensor& q, const Tensor& k);
// u^T w v: [M, N] -> [1], the largest singular value once u [M] and v [N] belong to it; they are constants,
// read before the call returns.
Tensor spectral_norm(const Tensor& w, const Real* u, const Real* v);
// Turns u [M] and v [N] towards the vectors of the largest singular value of w [M, N] and gives them length
// one; v is an output only. Where w maps a vector to zero, a random direction stands in for its image.
void power_iteration(const Real* w, Index m, Index n, Real* u, Real* v, int steps);

}  // namespace ef
