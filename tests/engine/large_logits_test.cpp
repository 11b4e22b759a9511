// Softmax and cross-entropy where logits are so large that the log of a sum of exponentials, as one float,
// has lost digits that count. Compiled for float and for double.
#include "engine/ops.h"
#include "tests/helpers.h"

using namespace ef;

TEST_CASE("cross_entropy: rows of gradients add up to 0 at logits of 10^4 and 70,000 classes", "[ops]") {
  const Index classes = 70'000, channels = 2;
  const double epsilon = std::numeric_limits<Real>::epsilon();
  Tape tape;
  const Tape::Scope scope(tape);
  const std::vector<std::int32_t> targets = {17, 69'999};
  // Logits near 10^4, and two that are largest. p is known: all others are far below.
  Leaf z({2, classes}, 3);
  for (Real& value : z.values) value += Real(1e4) - 60;
  for (Index row = 0; row < 2; ++row) z.values[row * classes + 17] = z.values[row * classes + 18] = Real(1e4);
  for (const double smoothing : {0.0, 0.1}) {
    std::fill(z.gradient.begin(), z.gradient.end(), Real(0));
    tape.reset();
    const Tensor loss = cross_entropy(z.tensor(), targets, {1, smoothing});
    tape.backward(loss);
    for (Index row = 0; row < 2; ++row) {
      long double sum = 0;  // so that what is left over is the op's, not this sum's
      for (Index i = 0; i < classes; ++i) sum += static_cast<long double>(z.gradient[row * classes + i]);
      CHECK(std::fabs(sum) < 100 * epsilon);
      CHECK(static_cast<double>(z.gradient[row * classes + 18]) ==
            Approx(0.5 - smoothing / static_cast<double>(classes)).epsilon(100 * epsilon));
    }
    if (smoothing == 0) {
      const double second = 1e4 - static_cast<double>(z.values[2 * classes - 1]);
      CHECK(static_cast<double>(loss.data[0]) == Approx(2 * std::log(2.0) + second).epsilon(100 * epsilon));
    }
  }

  // The same logits as products, in both of the ways in which they are computed.
  Leaf x({1, channels}, {100, 1}), w({classes, channels}, 5);
  for (Index i = 0; i < classes; ++i) {
    w.values[i * channels] = 100;
    w.values[i * channels + 1] -= 60;
  }
  w.values[17 * channels + 1] = w.values[18 * channels + 1] = 0;
  for (const auto way : {CrossEntropy::Logits::kept, CrossEntropy::Logits::recomputed}) {
    std::fill(w.gradient.begin(), w.gradient.end(), Real(0));
    tape.reset();
    tape.backward(linear_cross_entropy(x.tensor(), w.tensor(), std::span(targets).first(1), {1, 0, way}));
    long double sum = 0;  // the second channel of x is 1: its gradients are those of the logits
    for (Index i = 0; i < classes; ++i) sum += static_cast<long double>(w.gradient[i * channels + 1]);
    CHECK(std::fabs(sum) < 100 * epsilon);
    CHECK(static_cast<double>(w.gradient[18 * channels + 1]) == Approx(0.5).epsilon(100 * epsilon));
  }
}
