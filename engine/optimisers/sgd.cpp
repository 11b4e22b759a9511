// Gradient descent with momentum (Polyak 1964), as PyTorch computes it: B <- mu B + g, w -= lr B; with
// Nesterov's look ahead w -= lr (g + mu B).
#include "engine/optimisers/optimiser.h"

namespace ef {
namespace {

const Option<double> momentum("momentum", 0.9, below_one(), "mu, how much of the last step goes on");
const Option<bool> nesterov("nesterov", false, "look ahead: step along g + mu B");

struct SGD : OptimiserRule {
  Real mu;
  bool look_ahead;

  explicit SGD(const OptionValues& options) : mu(Real(momentum(options))), look_ahead(nesterov(options)) {}
  std::vector<Memory> remembers(const Parameter& p) const override { return {{"momentum", p.shape}}; }
  void update(const Moving& p, const OptimiserStep& s) const override {
    const Real keep = 1 - s.learning_rate * s.decay;
    const Real of_g = look_ahead ? 1 : 0, of_b = look_ahead ? mu : 1;
    Real *w = p.w, *b = p.memory[0];
    const Real* g = p.g;
    for (Index i = 0; i < p.n; ++i) {
      const Real gi = s.gradient_scale * g[i];
      b[i] = without_denormals(mu * b[i] + gi);
      w[i] = keep * w[i] - s.learning_rate * (of_g * gi + of_b * b[i]);
    }
  }
};

const Registered<OptimiserRule, SGD> sgd("sgd", "gradient descent with momentum", {momentum, nesterov});

}  // namespace
}  // namespace ef
