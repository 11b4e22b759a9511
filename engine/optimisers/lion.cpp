// Lion (Chen et al. 2023, arXiv 2302.06675): the sign of a mean. With one memory a number,
//   u = sign(beta1 m + (1 - beta1) g);   w -= lr (u + decay w);   m <- beta2 m + (1 - beta2) g.
// All numbers move by the same length, so it wants a learning rate some three to ten times smaller than
// Adam's, and a decay as much larger.
#include "engine/optimisers/optimiser.h"

namespace ef {
namespace {

const Option<double> beta1("beta1", 0.9, below_one(), "weight of the memory in the step");
const Option<double> beta2("beta2", 0.99, below_one(), "memory of the gradient");

struct Lion : OptimiserRule {
  double b1, b2;

  explicit Lion(const OptionValues& options) : b1(beta1(options)), b2(beta2(options)) {}
  std::vector<Memory> remembers(const Parameter& p) const override { return {{"first_moment", p.shape}}; }
  void update(const Moving& p, const OptimiserStep& s) const override {
    const Real keep = 1 - s.learning_rate * s.decay, old1 = Real(b1), old2 = Real(b2);
    const Real new1 = Real(1 - b1), new2 = Real(1 - b2);
    Real *w = p.w, *m = p.memory[0];
    const Real* g = p.g;
    for (Index i = 0; i < p.n; ++i) {
      const Real gi = s.gradient_scale * g[i];
      const Real u = old1 * m[i] + new1 * gi;
      w[i] = keep * w[i] - s.learning_rate * (Real(u > 0) - Real(u < 0));
      m[i] = without_denormals(old2 * m[i] + new2 * gi);
    }
  }
};

const Registered<OptimiserRule, Lion> lion("lion", "the sign of a mean of gradients", {beta1, beta2});

}  // namespace
}  // namespace ef
