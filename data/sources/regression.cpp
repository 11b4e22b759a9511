// Linear regression in context (Garg et al. 2022), in whole numbers: a slope w is drawn for each line, and
// not shown; then come pairs of x and y = w x + noise, "2 -5 1 -3 -3 8". All y are scored. Who has seen some
// pairs can narrow down the slope: the floor of each y is -log of its probability by Bayes' rule, given all
// pairs before it.
#include <array>
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> pairs("regression-pairs", 8, within(1, 200), "pairs of x and y in a line");
const Option<Index> slopes("regression-slope", 4, within(1, 20), "the slope is from minus this to this");

constexpr Index largest_x = 3;
// The noise is -1, 0 or 1.
constexpr std::array<double, 3> noise = {0.25, 0.5, 0.25};

struct RegressionSource : TaskSource {
  Index n, largest_w;

  explicit RegressionSource(const OptionValues& options)
      : TaskSource("regression", 10), n(pairs(options)), largest_w(slopes(options)) {}

  std::vector<std::string> vocabulary() const override {
    std::vector<std::string> all;
    for (Index y = -largest_w * largest_x - 1; y <= largest_w * largest_x + 1; ++y)
      all.push_back(std::to_string(y));
    return all;
  }

  Example write(Draws& draws, bool) const override {
    Example e;
    const Index w = draws.below(2 * largest_w + 1) - largest_w;
    std::vector<double> posterior(2 * largest_w + 1, 1.0 / static_cast<double>(2 * largest_w + 1));
    for (Index i = 0; i < n; ++i) {
      const Index x = draws.below(2 * largest_x + 1) - largest_x;
      const double u = draws.uniform();
      const Index y = w * x + (u < noise[0] ? -1 : u < noise[0] + noise[1] ? 0 : 1);
      double probability = 0;
      for (Index k = 0; k < std::ssize(posterior); ++k) {
        const Index off = y - (k - largest_w) * x + 1;
        posterior[k] *= off >= 0 && off < std::ssize(noise) ? noise[off] : 0;
        probability += posterior[k];
      }
      for (double& p : posterior) p /= probability;
      e.given(std::to_string(x), std::log(static_cast<double>(2 * largest_x + 1)));
      e.asked(std::to_string(y), -std::log(probability));
    }
    return e;
  }
};

const Registered<DataSource, RegressionSource> regression("regression",
                                                          "pairs of x and w x + noise, w unknown",
                                                          {pairs, slopes});

}  // namespace
}  // namespace ef
