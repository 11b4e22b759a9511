// The loss of a classifier, from logits.
#include "engine/error.h"
#include "engine/ops.h"
#include "engine/softmax_row.h"
#include "engine/tape.h"

namespace ef {

// For a row z with target y and smoothing s, the target distribution is q = (1 - s) onehot(y) + s / V and the
// loss is -sum_i q_i log p_i = log(sum e^z) - (1 - s) z_y - s mean(z), p = softmax(z).
// dz = (p - q) dloss / divisor.  Saved: log(sum e^z) of each row.
Tensor cross_entropy(const Tensor& logits, std::span<const std::int32_t> targets,
                     const CrossEntropy& options) {
  const Index rows = logits.shape.rows(), vocab = logits.shape.last();
  check_shape(static_cast<Index>(targets.size()) == rows, "cross_entropy", "logits", logits.shape,
              static_cast<Index>(targets.size()), " rows, one a target");
  if (!(options.divisor > 0))
    fail("cross_entropy: divisor", std::to_string(options.divisor), "a positive number");
  const Real smoothing = Real(options.label_smoothing);
  if (!(smoothing >= 0 && smoothing < 1))
    fail("cross_entropy: label smoothing", std::to_string(smoothing), "0 <= s < 1");

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
      if (target < 0 || target >= vocab) {
        fail("cross_entropy: target", std::to_string(target),
             "0 to " + std::to_string(vocab - 1) + ", or -1 to ignore");
      }
      const Real* z = logits.data + r * vocab;
      Real sum = 0;
      log_sums[r] = exponentials(z, unused, vocab, &sum);
      double row_loss = static_cast<double>(log_sums[r] - (1 - smoothing) * z[target]);
      if (smoothing > 0) {
        Real z_sum = 0;
        EF_REDUCE(z_sum) for (Index i = 0; i < vocab; ++i) z_sum += z[i];
        row_loss -= static_cast<double>(smoothing * z_sum / Real(vocab));
      }
      total += row_loss;
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

}  // namespace ef
