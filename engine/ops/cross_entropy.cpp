// The loss of a classifier, from logits.
#include <algorithm>

#include "engine/blas.h"
#include "engine/error.h"
#include "engine/ops.h"
#include "engine/softmax_row.h"
#include "engine/tape.h"

namespace ef {

using blas::gemm;
using enum blas::Op;

namespace {

void check_options(const char* op, const CrossEntropy& options) {
  if (!(options.divisor > 0)) {
    fail(std::string(op) + ": divisor", std::to_string(options.divisor), "a positive number");
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing < 1)) {
    fail(std::string(op) + ": label smoothing", std::to_string(options.label_smoothing), "0 <= s < 1");
  }
}

void check_target(const char* op, Index target, Index vocab) {
  if (target >= 0 && target < vocab) return;
  fail(std::string(op) + ": target", std::to_string(target),
       "0 to " + std::to_string(vocab - 1) + ", or -1 to ignore");
}

// mean(z) where it is needed, else 0.
Real mean_if(bool needed, const Real* z, Index n) {
  if (!needed) return 0;
  Real sum = 0;
  EF_REDUCE(sum) for (Index i = 0; i < n; ++i) sum += z[i];
  return sum / Real(n);
}

}  // namespace

// For a row z with target y and smoothing s, the target distribution is q = (1 - s) onehot(y) + s / V and the
// loss is -sum_i q_i log p_i = log(sum e^z) - (1 - s) z_y - s mean(z), p = softmax(z).
// dz = (p - q) dloss / divisor.  Saved: log(sum e^z) of each row.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                     const CrossEntropy& options) {
  const Index rows = logits.shape.rows(), vocab = logits.shape.last();
  check_shape(static_cast<Index>(targets.size()) == rows, "cross_entropy", "logits", logits.shape,
              static_cast<Index>(targets.size()), " rows, one a target");
  check_options("cross_entropy", options);
  const Real smoothing = Real(options.label_smoothing);

  Tape& tape = Tape::current();
  Tensor loss = tape.output("cross_entropy", {1}, {logits});
  Real* log_sums = tape.activations().allocate<Real>(rows);
  double total = 0;
  {
    Scratch scratch(tape.activations());
    Real* unused = scratch.reals(vocab);
    for (Index r = 0; r < rows; ++r) {
      const Index target = targets[static_cast<std::size_t>(r)];
      if (target == ignored) continue;
      check_target("cross_entropy", target, vocab);
      const Real* z = logits.data + r * vocab;
      Real sum = 0;
      log_sums[r] = exponentials(z, unused, vocab, &sum);
      const Real z_mean = mean_if(smoothing > 0, z, vocab);
      total += static_cast<double>(log_sums[r] - (1 - smoothing) * z[target] - smoothing * z_mean);
    }
  }
  loss.data[0] = Real(total / options.divisor);
  const Real inverse = Real(1 / options.divisor);
  return tape.record(loss, [=] {
    const Real factor = loss.grad[0] * inverse;
    for (Index r = 0; r < rows; ++r) {
      const Index target = targets[static_cast<std::size_t>(r)];
      if (target == ignored) continue;
      const Real *z = logits.data + r * vocab, log_sum = log_sums[r], even = smoothing / Real(vocab);
      Real* dz = logits.grad + r * vocab;
      for (Index i = 0; i < vocab; ++i) dz[i] += factor * (fast_exp(z[i] - log_sum) - even);
      dz[target] -= factor * (1 - smoothing);
    }
  });
}

// cross_entropy(linear(x, w, {}), targets) in blocks of rows: the logits of a block are made, and turned into
// their own gradient in place, while they are in cache. With dz as above, for d(loss) = 1:
//   dx = dz w,   dw = sum over blocks of dz^T x.
// As dz is at hand in the forward only, it does the work of the backward, which then multiplies by the
// gradient of the loss. Saved: dx, and the smaller of dw and dz; so all logits are kept only where they are
// few.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                            const CrossEntropy& options) {
  const char* const op = "linear_cross_entropy";
  const Index rows = x.shape.rows(), c = x.shape.last();
  check_shape(w.shape.rank == 2 && w.shape[1] == c, op, "w", w.shape, "[V, ", c, "]");
  const Index vocab = w.shape[0];
  check_shape(static_cast<Index>(targets.size()) == rows, op, "x", x.shape,
              static_cast<Index>(targets.size()), " rows, one a target");
  check_options(op, options);
  const Real smoothing = Real(options.label_smoothing), even = smoothing / Real(vocab);
  const Real inverse = Real(1 / options.divisor);

  Tape& tape = Tape::current();
  Tensor loss = tape.output(op, {1}, {x, w});
  const bool wants_dx = loss.grad && x.grad, wants_dw = loss.grad && w.grad, keeps_dz = wants_dw && rows <= c;
  Real* dx = wants_dx ? tape.activations().allocate<Real>(x.size()) : nullptr;
  Real* dz = keeps_dz ? tape.activations().allocate<Real>(rows * vocab) : nullptr;
  Real* dw = wants_dw && !keeps_dz ? tape.activations().allocate<Real>(w.size()) : nullptr;
  if (dw) std::fill_n(dw, w.size(), Real(0));
  double total = 0;
  {
    constexpr Index block = 256;  // rows: enough for gemm, at little memory
    Scratch scratch(tape.activations());
    Real* const place = dz ? nullptr : scratch.reals(std::min(block, rows) * vocab);
    for (Index first = 0; first < rows; first += block) {
      const Index n = std::min(block, rows - first);
      const Real* x_block = x.data + first * c;
      Real* logits = dz ? dz + first * vocab : place;
      gemm(as_is, transposed, n, vocab, c, 1, x_block, c, w.data, c, 0, logits, vocab);
      for (Index r = 0; r < n; ++r) {
        Real* z = logits + r * vocab;
        const Index target = targets[static_cast<std::size_t>(first + r)];
        if (target == ignored) {
          std::fill_n(z, vocab, Real(0));
          continue;
        }
        check_target(op, target, vocab);
        const Real z_target = z[target], z_mean = mean_if(smoothing > 0, z, vocab);
        Real sum = 0;
        const Real log_sum = exponentials(z, z, vocab, &sum);
        total += static_cast<double>(log_sum - (1 - smoothing) * z_target - smoothing * z_mean);
        if (!loss.grad) continue;
        const Real share = inverse / sum, less = inverse * even;
        for (Index i = 0; i < vocab; ++i) z[i] = share * z[i] - less;
        z[target] -= inverse * (1 - smoothing);
      }
      if (dx) gemm(as_is, as_is, n, c, vocab, 1, logits, vocab, w.data, c, 0, dx + first * c, c);
      if (dw) gemm(transposed, as_is, vocab, c, n, 1, logits, vocab, x_block, c, 1, dw, c);
    }
  }
  loss.data[0] = Real(total / options.divisor);
  return tape.record(loss, [=] {
    const Real dy = loss.grad[0];
    Real *x_grad = x.grad, *w_grad = w.grad;
    for (Index i = 0; dx && i < rows * c; ++i) x_grad[i] += dy * dx[i];
    for (Index i = 0; dw && i < vocab * c; ++i) w_grad[i] += dy * dw[i];
    if (dz) gemm(transposed, as_is, vocab, c, rows, dy, dz, vocab, x.data, c, 1, w_grad, c);
  });
}

}  // namespace ef
