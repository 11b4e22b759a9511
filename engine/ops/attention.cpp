// Causal multi-head attention, fused.
//
// For one head, S = scale Q K^T, P = softmax of each row of S over its past, O = P V. Given dO:
//   dV = P^T dO,   dP = dO V^T,   dS = P (dP - sum_t dP P) = P (dP - delta),   delta_i = <dO_i, O_i>,
//   dQ = scale dS K,   dK = scale dS^T Q.
// The rows are worked in blocks of queries, so that S and dP of a block stay in cache and the half of S that
// lies in the future is never computed. P is not kept: the backward computes it again from S and two numbers
// a row, which are all that is saved (as Dao et al. 2022, who save the log of the row's sum).
#include <algorithm>
#include <limits>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "engine/softmax_row.h"
#include "engine/tape.h"
#include "engine/writing.h"

namespace ef {
namespace {

using blas::gemm;
using enum blas::Op;

constexpr Index block = 64;  // queries at a time: S of a block is 64 x T
constexpr Index lanes = 16;  // numbers in a vector register, at most: a loop over whole registers has no rest
constexpr Real minus_infinity = -std::numeric_limits<Real>::infinity();

Index whole_lanes(Index n) { return (n + lanes - 1) / lanes * lanes; }

// One head of one sequence, as it lies in [B, T, C]: D numbers a token, C apart.
struct Head {
  Index tokens, dim, stride;
};

// S = scale Q K^T for queries [first, first + rows), over the keys that the last of them sees; `width`
// numbers a row. What a query must not see is -infinity, up to whole lanes.
void scores(const Head& h, const Real* q, const Real* k, Index first, Index rows, Real scale, Real* s,
            Index width) {
  gemm(as_is, transposed, rows, first + rows, h.dim, scale, q + first * h.stride, h.stride, k, h.stride, 0, s,
       width);
  for (Index i = 0; i < rows; ++i) {
    const Index n = first + i + 1;
    std::fill(s + i * width + n, s + i * width + whole_lanes(n), minus_infinity);
  }
}

}  // namespace

Tensor causal_attention(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale,
                        const AttentionSeen& seen_by) {
  check_shape(q.shape.rank == 3, "causal_attention", "q", q, "[B, T, C]");
  check_shape(k.shape == q.shape, "causal_attention", "k", k, q.shape);
  check_shape(v.shape == q.shape, "causal_attention", "v", v, q.shape);
  const Index batch = q.shape[0], tokens = q.shape[1], channels = q.shape[2];
  check_shape(heads > 0 && channels % heads == 0, "causal_attention", "q", q, "channels divisible by ", heads,
              " heads");
  const Head head{tokens, channels / heads, channels};
  const Real factor = Real(scale);

  Tape& tape = Tape::current();
  Tensor y = tape.output("causal_attention", q.shape, {q, k, v});
  SoftmaxOf* softmaxes = tape.activations().allocate<SoftmaxOf>(batch * heads * tokens);

  // Calls visit(where head (b, h) starts, its first row of softmaxes, first query, number of queries).
  const auto each_block = [=](auto visit) {
    for (Index b = 0; b < batch; ++b)
      for (Index h = 0; h < heads; ++h)
        for (Index first = 0; first < tokens; first += block)
          visit(b * tokens * channels + h * head.dim, (b * heads + h) * tokens, first,
                std::min(block, tokens - first));
  };

  {
    Scratch scratch(tape.activations());
    Real* p = scratch.reals(block * whole_lanes(tokens));
    // The first n numbers of a row of `into`, [.., T]; zeros behind them.
    const auto show = [=](Real* into, Index at_row, const Real* numbers, Index n) {
      if (!into) return;
      std::copy_n(numbers, n, into + at_row * tokens);
      std::fill(into + at_row * tokens + n, into + (at_row + 1) * tokens, Real(0));
    };
    each_block([&](Index at, Index row, Index first, Index rows) {
      const Index seen = first + rows, width = whole_lanes(seen);
      scores(head, q.data + at, k.data + at, first, rows, factor, p, width);
      for (Index i = 0; i < rows; ++i) {
        Real* p_row = p + i * width;
        const Index n = whole_lanes(first + i + 1), this_row = row + first + i;
        show(seen_by.logits, this_row, p_row, first + i + 1);
        softmaxes[this_row] = softmax_row(p_row, p_row, n);
        std::fill(p_row + n, p_row + width, Real(0));
        show(seen_by.pattern, this_row, p_row, seen);
      }
      gemm(as_is, as_is, rows, head.dim, seen, 1, p, width, v.data + at, channels, 0,
           y.data + at + first * channels, channels);
    });
  }

  return tape.record(y, [=] {
    Scratch scratch(Tape::current().activations());
    Real* p = scratch.reals(block * whole_lanes(tokens));
    Real* ds = scratch.reals(block * whole_lanes(tokens));
    each_block([&](Index at, Index row, Index first, Index rows) {
      const Index seen = first + rows, width = whole_lanes(seen), from = at + first * channels;
      const Real* dy = y.grad + from;
      scores(head, q.data + at, k.data + at, first, rows, factor, p, width);
      for (Index i = 0; i < rows; ++i) {
        Real* p_row = p + i * width;
        const auto [top, inverse] = softmaxes[row + first + i];
        const Index n = whole_lanes(first + i + 1);
        for (Index t = 0; t < n; ++t) p_row[t] = fast_exp_at_most_88(p_row[t] - top) * inverse;
        std::fill(p_row + n, p_row + width, Real(0));
      }
      if (v.grad)
        gemm(transposed, as_is, seen, head.dim, rows, 1, p, width, dy, channels, 1, v.grad + at, channels);
      if (!q.grad && !k.grad) return;
      gemm(as_is, transposed, rows, seen, head.dim, 1, dy, channels, v.data + at, channels, 0, ds, width);
      for (Index i = 0; i < rows; ++i) {
        const Real *dy_row = dy + i * channels, *y_row = y.data + from + i * channels, *p_row = p + i * width;
        Real* ds_row = ds + i * width;
        Real delta = 0;
        EF_REDUCE(delta) for (Index d = 0; d < head.dim; ++d) delta += dy_row[d] * y_row[d];
        for (Index t = 0; t < seen; ++t) ds_row[t] = p_row[t] * (ds_row[t] - delta);
      }
      if (q.grad) {
        gemm(as_is, as_is, rows, head.dim, seen, factor, ds, width, k.data + at, channels, 1, q.grad + from,
             channels);
      }
      if (k.grad) {
        gemm(transposed, as_is, seen, head.dim, rows, factor, ds, width, q.data + from, channels, 1,
             k.grad + at, channels);
      }
    });
  });
}

// One row of what stands above: each key and value is read once, and that is what it costs.
Tensor attention_of_last(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale) {
  Tape& tape = Tape::current();
  if (tape.recording) fail("attention_of_last", "a recording tape", "one that is not: it has no backward");
  const Index channels = q.shape.last(), tokens = k.shape.rank == 3 ? k.shape[1] : 0;
  check_shape(q.shape == Shape{1, 1, channels} && heads > 0 && channels % heads == 0, "attention_of_last",
              "q", q, "[1, 1, C], C a multiple of the ", heads, " heads");
  check_shape(tokens > 0 && k.shape == Shape{1, tokens, channels}, "attention_of_last", "k", k, "[1, T, ",
              channels, "]");
  check_shape(v.shape == k.shape, "attention_of_last", "v", v, k.shape);
  Tensor y = tape.output("attention_of_last", q.shape, {q, k, v});
  Scratch scratch(tape.activations());
  const Index dim = channels / heads;
  Real* p = scratch.reals(whole_lanes(tokens));
  for (Index head = 0; head < heads; ++head) {
    const Index at = head * dim;
    blas::gemv(as_is, tokens, dim, Real(scale), k.data + at, channels, q.data + at, 0, p);
    softmax_row(p, p, tokens);
    blas::gemv(transposed, tokens, dim, 1, v.data + at, channels, p, 0, y.data + at);
  }
  return tape.record(y, [] {});
}

}  // namespace ef
