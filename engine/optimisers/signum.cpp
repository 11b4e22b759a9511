// The sign of the momentum (signSGD with momentum, Bernstein et al. 2018): m <- mu m + (1 - mu) g, w -= lr
// sign(m).
#include "engine/optimisers/optimiser.h"

namespace ef {
namespace {

const Option<double> momentum("momentum", 0.9, below_one(),
                              "memory of the gradient, of which the sign is taken");

struct Signum : OptimiserRule {
  Real mu;

  explicit Signum(const OptionValues& options) : mu(Real(momentum(options))) {}
  std::vector<Memory> remembers(const Parameter& p) const override { return {{"momentum", p.shape}}; }
  void update(const Moving& p, const OptimiserStep& s) const override {
    const Real keep = 1 - s.learning_rate * s.decay;
    Real *w = p.w, *m = p.memory[0];
    for (Index i = 0; i < p.n; ++i) {
      m[i] = without_denormals(mu * m[i] + (1 - mu) * s.gradient_scale * p.g[i]);
      w[i] = keep * w[i] - s.learning_rate * Real((m[i] > 0) - (m[i] < 0));
    }
  }
};

const Registered<OptimiserRule, Signum> signum("signum", "the sign of the momentum", {momentum});

}  // namespace
}  // namespace ef
