// AdamW (Loshchilov and Hutter 2019, as PyTorch computes it), and fairseq's Adam.
//
// m and v are running means of g and of g^2. As they start at 0 they lack weight in the first steps: divided
// by c1 = 1 - beta1^t and c2 = 1 - beta2^t they are means of what there was so far.
//   AdamW    w -= lr decay w;   w -= lr (m / c1) / (sqrt(v / c2) + epsilon)
//   fairseq  w -= lr decay w;   w -= lr sqrt(c2) / c1 m / (sqrt(v) + epsilon)
// fairseq adds epsilon to the uncorrected root, which makes it larger in the first steps.
#include <cmath>

#include "engine/optimisers/optimiser.h"

namespace ef {
namespace {

const Option<double> beta1_option("beta1", 0.9, below_one(), "memory of the gradient");
const Option<double> beta2_option("beta2", 0.999, below_one(), "memory of its square");
// Where a gradient has been 0 so far, both moments are: 0 / 0 would be the end of its weight.
const Option<double> epsilon_option("epsilon", 1e-8, above(0), "added to the root of the second moment");

struct Adam : OptimiserRule {
  double beta1, beta2, epsilon;

  explicit Adam(const OptionValues& options)
      : beta1(beta1_option(options)), beta2(beta2_option(options)), epsilon(epsilon_option(options)) {
    if (!(Real(beta1) < 1)) fail("beta1", std::to_string(beta1), "below 1 after rounding");
    if (!(Real(beta2) < 1)) fail("beta2", std::to_string(beta2), "below 1 after rounding");
    if (!(Real(epsilon) > 0)) fail("epsilon", std::to_string(epsilon), "above 0 after rounding");
  }
  std::vector<Memory> remembers(const Parameter& p) const override {
    return {{"first_moment", p.shape}, {"second_moment", p.shape}};
  }
  Real correction1(Index step) const { return Real(1 - std::pow(beta1, static_cast<double>(step))); }
  Real correction2(Index step) const { return Real(1 - std::pow(beta2, static_cast<double>(step))); }

  // The two rules differ in the root of c2, and in what their rate is multiplied with.
  void update_with(const Moving& p, const OptimiserStep& s, Real rate, Real root) const {
    const Real b1 = Real(beta1), b2 = Real(beta2), e = Real(epsilon);
    const Real new1 = Real(1 - beta1), new2 = Real(1 - beta2);  // not of rounded betas
    const Real keep = 1 - s.learning_rate * s.decay;
    Real *w = p.w, *m = p.memory[0], *v = p.memory[1];
    const Real* g = p.g;
    for (Index i = 0; i < p.n; ++i) {
      const Real gi = s.gradient_scale * g[i];
      m[i] = without_denormals(b1 * m[i] + new1 * gi);
      v[i] = without_denormals(b2 * v[i] + new2 * gi * gi);
      w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + e);
    }
  }
};

struct AdamW : Adam {
  using Adam::Adam;
  void update(const Moving& p, const OptimiserStep& s) const override {
    update_with(p, s, s.learning_rate / correction1(s.step), 1 / std::sqrt(correction2(s.step)));
  }
};
const Registered<OptimiserRule, AdamW> adamw("adamw", "Adam with decoupled decay, as PyTorch",
                                             adam_options());

struct FairseqAdam : Adam {
  using Adam::Adam;
  void update(const Moving& p, const OptimiserStep& s) const override {
    update_with(p, s, s.learning_rate * std::sqrt(correction2(s.step)) / correction1(s.step), 1);
  }
};
const Registered<OptimiserRule, FairseqAdam> fairseq("fairseq-adam", "Adam as fairseq computes it",
                                                     adam_options());

}  // namespace

std::vector<Declaration> adam_options() { return {beta1_option, beta2_option, epsilon_option}; }

}  // namespace ef
