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

// The sum of z where it is needed, else 0.
Real sum_if(bool needed, const Real* z, Index n) {
  Real sum = 0;
  EF_REDUCE(sum) for (Index i = 0; i < (needed ? n : 0); ++i) sum += z[i];
  return sum;
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
      const Real top = exponentials(z, unused, vocab, &sum);
      log_sums[r] = top + std::log(sum);
      const Real z_mean = sum_if(smoothing > 0, z, vocab) / Real(vocab);
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

// cross_entropy(linear(x, w, {}), targets) in blocks of rows and classes. For a block of rows, each block of
// logits is made and turned into e^(z - its row's largest) while it is in cache, with the sum; when all
// classes have been seen, log(sum e^z) of a row is known, and each block becomes dz as above, for d(loss) =
// 1:
//   dx = sum over blocks of dz w,   dw = sum over blocks of dz^T x.
// As dz is at hand in the forward only, the forward does this work of the backward, which then multiplies by
// the gradient of the loss. Saved: dx, and the smaller of dw and dz; so all logits are kept only where they
// are few.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                            const CrossEntropy& options) {
  const char* const op = "linear_cross_entropy";
  const Index rows = x.shape.rows(), c = x.shape.last();
  check_shape(w.shape.rank == 2 && w.shape[1] == c, op, "w", w.shape, "[V, ", c, "]");
  const Index vocab = w.shape[0];
  check_shape(static_cast<Index>(targets.size()) == rows, op, "x", x.shape,
              static_cast<Index>(targets.size()), " rows, one a target");
  check_options(op, options);
  for (const std::int32_t target : targets) {
    if (target != ignored) check_target(op, target, vocab);
  }
  const Real smoothing = Real(options.label_smoothing), even = smoothing / Real(vocab);
  const Real inverse = Real(1 / options.divisor);
  constexpr Index row_block = 256, class_block = 512;  // 512 KiB of float32 logits

  Tape& tape = Tape::current();
  Tensor loss = tape.output(op, {1}, {x, w});
  const bool wants_dx = loss.grad && x.grad, wants_dw = loss.grad && w.grad, keeps_dz = wants_dw && rows <= c;
  Real* dx = wants_dx ? tape.activations().allocate<Real>(x.size()) : nullptr;
  Real* dz = keeps_dz ? tape.activations().allocate<Real>(rows * vocab) : nullptr;
  Real* dw = wants_dw && !keeps_dz ? tape.activations().allocate<Real>(w.size()) : nullptr;
  if (dw) std::fill_n(dw, w.size(), Real(0));

  // Calls visit(first class, number of classes, where the block lies that belongs to n rows at z).
  const auto each_class_block = [=](Real* z, Index n, auto visit) {
    for (Index v = 0; v < vocab; v += class_block) visit(v, std::min(class_block, vocab - v), z + n * v);
  };
  double total = 0;
  {
    Scratch scratch(tape.activations());
    const Index most = std::min(row_block, rows), blocks = (vocab + class_block - 1) / class_block;
    Real* const place = dz ? nullptr : scratch.reals(most * vocab);
    Real *const tops = scratch.reals(most * blocks), *const sums = scratch.reals(most * blocks);
    Real *const top = scratch.reals(most), *const sum = scratch.reals(most);
    for (Index first = 0; first < rows; first += row_block) {
      const Index n = std::min(row_block, rows - first);
      const Real* x_block = x.data + first * c;
      Real* z = dz ? dz + first * vocab : place;
      const auto target_of = [&](Index r) -> Index { return targets[static_cast<std::size_t>(first + r)]; };

      each_class_block(z, n, [&](Index v, Index width, Real* block) {
        gemm(as_is, transposed, n, width, c, 1, x_block, c, w.data + v * c, c, 0, block, width);
        for (Index r = 0; r < n; ++r) {
          Real* row = block + r * width;
          const Index target = target_of(r), at = r * blocks + v / class_block;
          if (target == ignored) continue;
          if (target >= v && target < v + width)
            total -= static_cast<double>((1 - smoothing) * row[target - v]);
          total -= static_cast<double>(even * sum_if(smoothing > 0, row, width));
          tops[at] = exponentials(row, row, width, &sums[at]);
        }
      });
      for (Index r = 0; r < n; ++r) {
        if (target_of(r) == ignored) continue;
        const Real *row_tops = tops + r * blocks, *row_sums = sums + r * blocks;
        top[r] = largest(row_tops, blocks);
        sum[r] = 0;
        for (Index b = 0; b < blocks; ++b) sum[r] += row_sums[b] * fast_exp(row_tops[b] - top[r]);
        total += static_cast<double>(top[r] + std::log(sum[r]));
      }
      if (!wants_dx && !wants_dw) continue;
      if (dx) std::fill_n(dx + first * c, n * c, Real(0));
      each_class_block(z, n, [&](Index v, Index width, Real* block) {
        for (Index r = 0; r < n; ++r) {
          Real* row = block + r * width;
          const Index target = target_of(r);
          if (target == ignored) {
            std::fill_n(row, width, Real(0));
            continue;
          }
          const Real share = inverse / sum[r] * fast_exp(tops[r * blocks + v / class_block] - top[r]);
          const Real less = inverse * even;
          for (Index i = 0; i < width; ++i) row[i] = share * row[i] - less;
          if (target >= v && target < v + width) row[target - v] -= inverse * (1 - smoothing);
        }
        if (dx) gemm(as_is, as_is, n, c, width, 1, block, width, w.data + v * c, c, 1, dx + first * c, c);
        if (dw) gemm(transposed, as_is, width, c, n, 1, block, width, x_block, c, 1, dw + v * c, c);
      });
    }
  }
  loss.data[0] = Real(total / options.divisor);
  return tape.record(loss, [=] {
    const Real dy = loss.grad[0];
    Real *x_grad = x.grad, *w_grad = w.grad;
    for (Index i = 0; dx && i < rows * c; ++i) x_grad[i] += dy * dx[i];
    for (Index i = 0; dw && i < vocab * c; ++i) w_grad[i] += dy * dw[i];
    for (Index first = 0; dz && first < rows; first += row_block) {
      const Index n = std::min(row_block, rows - first);
      each_class_block(dz + first * vocab, n, [&](Index v, Index width, Real* block) {
        gemm(transposed, as_is, width, c, n, dy, block, width, x.data + first * c, c, 1, w_grad + v * c, c);
      });
    }
  });
}

}  // namespace ef
