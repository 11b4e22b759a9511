// The loss of a classifier, from logits.
#include <algorithm>

#include "engine/error.h"
#include "engine/matmul/blas.h"
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
// dz = (p - q) dloss / divisor.  Saved: what p is computed from, not log(sum e^z), which at logits of 10^4
// has lost 5e-4 in float, and p with it.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                     const CrossEntropy& options) {
  const Index rows = logits.shape.rows(), vocab = logits.shape.last();
  check_shape(static_cast<Index>(targets.size()) == rows, "cross_entropy", "logits", logits,
              static_cast<Index>(targets.size()), " rows, one a target");
  check_options("cross_entropy", options);
  const Real smoothing = Real(options.label_smoothing);

  Tape& tape = Tape::current();
  Tensor loss = tape.output("cross_entropy", {1}, {logits});
  SoftmaxOf* softmax = tape.activations().allocate<SoftmaxOf>(rows);
  double total = 0;
  {
    Scratch scratch(tape.activations());
    Real* unused = scratch.reals(vocab);
    for (Index r = 0; r < rows; ++r) {
      const Index target = targets[r];
      if (target == ignored) continue;
      check_target("cross_entropy", target, vocab);
      const Real* z = logits.data + r * vocab;
      Real sum = 0;
      const Real top = exponentials(z, unused, vocab, &sum);
      softmax[r] = {top, 1 / sum};
      const Real z_mean = smoothing > 0 ? sum_if(true, z, vocab) / Real(vocab) : top;
      total += static_cast<double>(std::log(sum) + (1 - smoothing) * (top - z[target]) +
                                   smoothing * (top - z_mean));
    }
  }
  loss.data[0] = Real(total / options.divisor);
  const Real inverse = Real(1 / options.divisor);
  return tape.record(loss, [=] {
    const Real factor = loss.grad[0] * inverse;
    for (Index r = 0; r < rows; ++r) {
      const Index target = targets[r];
      if (target == ignored) continue;
      const Real *z = logits.data + r * vocab, even = smoothing / Real(vocab);
      const auto [top, inverse_sum] = softmax[r];
      Real* dz = logits.grad + r * vocab;
      for (Index i = 0; i < vocab; ++i)
        dz[i] += factor * (fast_exp_at_most_88(z[i] - top) * inverse_sum - even);
      dz[target] -= factor * (1 - smoothing);
    }
  });
}

// cross_entropy(linear(x, w, {}), targets) in blocks of rows and classes, which fit into cache. With dz as
// above for d(loss) = 1,
//   dx = sum over blocks of dz w,   dw = sum over blocks of dz^T x.
// A block of dz needs log(sum e^z) of its rows, hence all their logits. Until that is known, the logits
// either wait (as e^(z - its block's largest): kept()), or are dropped and computed once more (recomputed()):
// that saves their way to memory and back, 16 bytes a logit, for 2 C operations. Both do the work of the
// backward in the forward, where dz is at hand; the backward multiplies by the gradient of the loss.
//
// 16 bytes take about 1 ns. At C = 128, 2 C operations take 2 to 5 ns in float32, 0.8 by AVX512-BF16, 0.2 to
// 0.7 by AMX. So logits are computed twice with AMX, where the model is narrow and a block of all classes is
// larger than the cache.
namespace {

constexpr Index row_block = 256, class_block = 512;  // 512 KiB of float32 logits

struct Head {
  const Real *x, *w;  // [rows, c] of the rows that are scored, [vocab, c]
  Index rows, c, vocab;
  const std::int32_t* targets;
  Real smoothing, even, inverse;                           // s, s / V, 1 / divisor
  Real *dx = nullptr, *dw = nullptr, *every_dz = nullptr;  // what is wanted; every_dz instead of dw

  bool wants_gradients() const { return dx || dw || every_dz; }

  void logits(Index first, Index n, Index v, Index width, Real* z) const {
    gemm(as_is, transposed, n, width, c, 1, x + first * c, c, w + v * c, c, 0, z, width);
  }
  // What the logits [v, v + width) of a row take off its log(sum e^z) to make its loss.
  double less(Index row, Index v, Index width, const Real* z) const {
    const Index i = targets[row] - v;
    const Real of_target = i >= 0 && i < width ? (1 - smoothing) * z[i] : 0;
    return static_cast<double>(of_target) + static_cast<double>(even * sum_if(smoothing > 0, z, width));
  }
  // What remains of dz when p / divisor is there: - q / divisor.
  void subtract_target(Index row, Index v, Index width, Real* dz) const {
    for (Index i = 0; even > 0 && i < width; ++i) dz[i] -= inverse * even;
    const Index i = targets[row] - v;
    if (i >= 0 && i < width) dz[i] -= inverse * (1 - smoothing);
  }
  // Adds the products of dz of the rows [first, first + n) and the classes [v, v + width).
  void add_products(Index first, Index n, Index v, Index width, const Real* dz) const {
    if (dx) gemm(as_is, as_is, n, c, width, 1, dz, width, w + v * c, c, 1, dx + first * c, c);
    if (dw) gemm(transposed, as_is, width, c, n, 1, dz, width, x + first * c, c, 1, dw + v * c, c);
  }
};

// Calls visit(first, how many) for blocks of n things.
template <class Visit>
void each_block(Index n, Index block, Visit visit) {
  for (Index first = 0; first < n; first += block) visit(first, std::min(block, n - first));
}

// The sum of the losses of all rows. The logits of a block of rows wait: in every_dz, or in scratch.
double kept(const Head& head, Arena& arena) {
  Scratch scratch(arena);
  const Index most = std::min(row_block, head.rows), blocks = (head.vocab + class_block - 1) / class_block;
  Real* const place = head.every_dz ? nullptr : scratch.reals(most * head.vocab);
  Real *const tops = scratch.reals(most * blocks), *const sums = scratch.reals(most * blocks);
  Real *const top = scratch.reals(most), *const sum = scratch.reals(most);
  double total = 0;
  each_block(head.rows, row_block, [&](Index first, Index n) {
    Real* const all = head.every_dz ? head.every_dz + first * head.vocab : place;  // block after block
    each_block(head.vocab, class_block, [&](Index v, Index width) {
      Real* const z = all + n * v;
      head.logits(first, n, v, width, z);
      for (Index r = 0; r < n; ++r) {
        Real* row = z + r * width;
        total -= head.less(first + r, v, width, row);
        const Index at = r * blocks + v / class_block;
        tops[at] = exponentials(row, row, width, &sums[at]);
      }
    });
    for (Index r = 0; r < n; ++r) {
      const Real *row_tops = tops + r * blocks, *row_sums = sums + r * blocks;
      top[r] = largest(row_tops, blocks);
      sum[r] = 0;
      for (Index b = 0; b < blocks; ++b) sum[r] += row_sums[b] * fast_exp(row_tops[b] - top[r]);
      total += static_cast<double>(top[r] + std::log(sum[r]));
    }
    each_block(head.wants_gradients() ? head.vocab : 0, class_block, [&](Index v, Index width) {
      Real* const dz = all + n * v;
      for (Index r = 0; r < n; ++r) {
        Real* row = dz + r * width;
        const Real share = head.inverse / sum[r] * fast_exp(tops[r * blocks + v / class_block] - top[r]);
        for (Index i = 0; i < width; ++i) row[i] *= share;
        head.subtract_target(first + r, v, width, row);
      }
      head.add_products(first, n, v, width, dz);
    });
  });
  return total;
}

// The same, with two passes over the classes: the first finds log(sum e^z), the second makes dz.
double recomputed(const Head& head, Arena& arena) {
  Scratch scratch(arena);
  const Index rows = head.rows, vocab = head.vocab;
  Real* const place = scratch.reals(std::min(row_block, rows) * std::min(class_block, vocab));
  Real *const tops = scratch.reals(rows), *const sums = scratch.reals(rows);
  double total = 0;
  each_block(vocab, class_block, [&](Index v, Index width) {
    each_block(rows, row_block, [&](Index first, Index n) {
      head.logits(first, n, v, width, place);
      for (Index r = first; r < first + n; ++r) {
        const Real* z = place + (r - first) * width;
        total -= head.less(r, v, width, z);
        const Real before = v > 0 ? tops[r] : z[0], top = std::max(before, largest(z, width));
        sums[r] = (v > 0 ? sums[r] * fast_exp(before - top) : 0) + sum_of_exponentials(z, top, width);
        tops[r] = top;
      }
    });
  });
  for (Index r = 0; r < rows; ++r) total += static_cast<double>(tops[r] + std::log(sums[r]));
  each_block(head.wants_gradients() ? vocab : 0, class_block, [&](Index v, Index width) {
    each_block(rows, row_block, [&](Index first, Index n) {
      Real* const dz = head.every_dz ? head.every_dz + first * vocab + n * v : place;
      head.logits(first, n, v, width, dz);
      for (Index r = first; r < first + n; ++r) {
        Real* row = dz + (r - first) * width;
        const Real top = tops[r], share = head.inverse / sums[r];
        for (Index i = 0; i < width; ++i) row[i] = share * fast_exp_at_most_88(row[i] - top);
        head.subtract_target(r, v, width, row);
      }
      head.add_products(first, n, v, width, dz);
    });
  });
  return total;
}

}  // namespace

// Rows that are not scored are left out before anything is computed; `places` are those that are. Saved: dx,
// and the smaller of dw and dz; so dz is kept as a whole only where it is small.
Tensor linear_cross_entropy(const Tensor& x, const Tensor& w, std::span<const std::int32_t> targets,
                            const CrossEntropy& options) {
  const char* const op = "linear_cross_entropy";
  const Index all = x.shape.rows(), c = x.shape.last();
  check_shape(w.shape.rank == 2 && w.shape[1] == c, op, "w", w, "[V, ", c, "]");
  const Index vocab = w.shape[0];
  check_shape(static_cast<Index>(targets.size()) == all, op, "x", x, static_cast<Index>(targets.size()),
              " rows, one a target");
  check_options(op, options);
  Index rows = 0;
  for (const std::int32_t target : targets) {
    if (target == ignored) continue;
    check_target(op, target, vocab);
    ++rows;
  }

  Tape& tape = Tape::current();
  Arena& arena = tape.activations();
  Tensor loss = tape.output(op, {1}, {x, w});
  const Real smoothing = Real(options.label_smoothing);
  Head head{x.data,
            w.data,
            rows,
            c,
            vocab,
            targets.data(),
            smoothing,
            smoothing / Real(vocab),
            Real(1 / options.divisor)};
  Index* places = nullptr;  // all rows
  if (rows < all) {
    places = arena.allocate<Index>(rows);
    Real* scored_x = arena.allocate<Real>(rows * c);
    std::int32_t* scored_targets = arena.allocate<std::int32_t>(rows);
    for (Index r = 0, i = 0; r < all; ++r) {
      if (targets[r] == ignored) continue;
      std::copy_n(x.data + r * c, c, scored_x + i * c);
      scored_targets[i] = targets[r];
      places[i++] = r;
    }
    head.x = scored_x;
    head.targets = scored_targets;
  }
  if (loss.grad && x.grad) {
    head.dx = arena.allocate<Real>(rows * c);
    std::fill_n(head.dx, rows * c, Real(0));
  }
  if (loss.grad && w.grad) {
    if (rows <= c) {
      head.every_dz = arena.allocate<Real>(rows * vocab);
    } else {
      head.dw = arena.allocate<Real>(w.size());
      std::fill_n(head.dw, w.size(), Real(0));
    }
  }
  using Logits = CrossEntropy::Logits;
  const bool pays = blas::products_by_amx() && c <= 256 && !head.every_dz && vocab > 1024;
  const bool drops = options.logits == Logits::recomputed || !head.wants_gradients() ||
                     (options.logits == Logits::automatic && pays);
  loss.data[0] = Real((drops ? recomputed(head, arena) : kept(head, arena)) / options.divisor);

  return tape.record(loss, [=] {
    const Real dy = loss.grad[0];
    Real *x_grad = x.grad, *w_grad = w.grad;
    for (Index i = 0; head.dx && i < rows; ++i) {
      const Real* from = head.dx + i * c;
      Real* to = x_grad + (places ? places[i] : i) * c;
      for (Index j = 0; j < c; ++j) to[j] += dy * from[j];
    }
    for (Index i = 0; head.dw && i < vocab * c; ++i) w_grad[i] += dy * head.dw[i];
    each_block(head.every_dz ? rows : 0, row_block, [&](Index first, Index n) {
      each_block(vocab, class_block, [&](Index v, Index width) {
        const Real* dz = head.every_dz + first * vocab + n * v;
        gemm(transposed, as_is, width, c, n, dy, dz, width, head.x + first * c, c, 1, w_grad + v * c, c);
      });
    });
  });
}

}  // namespace ef
