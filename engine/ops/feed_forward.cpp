// The feed-forward part of a transformer, fused: y = f(x u^T + a) d^T + b, with weights u [F, C], d [N, F].
//
// Its middle is wide (F = 4 C in GPT-2), so it is worked in blocks of rows whose middle stays in cache, and
// only h = x u^T + a is saved. With g = f(h), given dy:
//   dg = dy d,   dh = f'(h) dg,   dx = dh u,
//   dd = dy^T g,  db = sum of dy,  du = dh^T x,  da = sum of dh   (sums over rows)
// where g is computed anew in the backward, together with f'(h).
#include <algorithm>

#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

using blas::gemm;
using enum blas::Op;

// Rows at a time. Where both weights fit the cache, so few that the middle fits beside them, yet enough for
// gemm; else the weights are read once a block, so more.
Index rows_at_a_time(Index rows, Index weights) {
  return std::min(rows, Index{weights * Index{sizeof(Real)} <= Index{1} << 20 ? 192 : 768});
}

void set_rows(const Tensor& bias, Index rows, Real* y) {
  for (Index r = 0; bias && r < rows; ++r) std::copy_n(bias.data, bias.size(), y + r * bias.size());
}

void add_rows(const Real* dy, Index rows, Index n, Real* sum) {
  for (Index r = 0; sum && r < rows; ++r) {
    for (Index i = 0; i < n; ++i) sum[i] += dy[r * n + i];
  }
}

}  // namespace

Tensor feed_forward(const Tensor& x, const Tensor& up, const Tensor& up_bias, const Tensor& down,
                    const Tensor& down_bias, const Activation& activation) {
  const char* const op = "feed_forward";
  const Index c = x.shape.last(), rows = x.shape.leading();
  check_shape(x.shape.rank >= 1, op, "x", x, "[..., C]");
  check_shape(up.shape.rank == 2 && up.shape[1] == c, op, "up", up, "[F, ", c, "]");
  const Index width = up.shape[0];
  check_shape(down.shape.rank == 2 && down.shape[1] == width, op, "down", down, "[N, ", width, "]");
  const Index out = down.shape[0];
  if (up_bias) check_shape(up_bias.shape == Shape{width}, op, "up_bias", up_bias, Shape{width});
  if (down_bias) check_shape(down_bias.shape == Shape{out}, op, "down_bias", down_bias, Shape{out});
  Shape shape = x.shape;
  shape[shape.rank - 1] = out;

  const Index block = rows_at_a_time(rows, up.size() + down.size());

  Tape& tape = Tape::current();
  Tensor y = tape.output(op, shape, {x, up, up_bias, down, down_bias});
  // y += x w^T, y = x w^T without a bias: as linear() does it.
  const auto product = [alone = rows == 1 && !tape.recording](Index n, Index to, Index from, const Real* in,
                                                              const Real* w, const Tensor& bias,
                                                              Real* result) {
    const Real keeps = bias ? Real(1) : Real(0);
    if (alone)
      blas::gemv(as_is, to, from, 1, w, from, in, keeps, result);
    else
      gemm(as_is, transposed, n, to, from, 1, in, from, w, from, keeps, result, to);
  };
  Real* const h = y.grad ? tape.activations().allocate<Real>(rows * width) : nullptr;
  {
    Scratch scratch(tape.activations());
    Real* const g = scratch.reals(block * width);
    for (Index first = 0; first < rows; first += block) {
      const Index n = std::min(block, rows - first);
      Real *h_block = h ? h + first * width : g, *y_block = y.data + first * out;
      set_rows(up_bias, n, h_block);
      product(n, width, c, x.data + first * c, up.data, up_bias, h_block);
      activation.values(h_block, g, n * width);
      set_rows(down_bias, n, y_block);
      product(n, out, width, g, down.data, down_bias, y_block);
    }
  }
  return tape.record(y, [=, values_and_slopes = activation.values_and_slopes] {
    Scratch scratch(Tape::current().activations());
    Real *const g = scratch.reals(block * width), *const dh = scratch.reals(std::min(block, rows) * width);
    for (Index first = 0; first < rows; first += block) {
      const Index n = std::min(block, rows - first);
      const Real *dy = y.grad + first * out, *x_block = x.data + first * c;
      gemm(as_is, as_is, n, width, out, 1, dy, out, down.data, width, 0, dh, width);
      values_and_slopes(h + first * width, g, dh, n * width);
      if (down.grad) gemm(transposed, as_is, out, width, n, 1, dy, out, g, width, 1, down.grad, width);
      if (up.grad) gemm(transposed, as_is, width, c, n, 1, dh, width, x_block, c, 1, up.grad, c);
      if (x.grad) gemm(as_is, as_is, n, c, width, 1, dh, width, up.data, c, 1, x.grad + first * c, c);
      add_rows(dy, n, out, down_bias.grad);
      add_rows(dh, n, width, up_bias.grad);
    }
  });
}

}  // namespace ef
