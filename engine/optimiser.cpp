#include "engine/optimiser.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "engine/error.h"
#include "engine/math.h"
#include "engine/nearest.h"

namespace ef {
namespace {

// A running mean whose gradient stays 0, as of a token that does not come, would fall to the denormal numbers
// and stay there: rounded up, the smallest times 0.9 are themselves. Processors work on them slowly.
Real without_denormals(Real x) { return std::fabs(x) < std::numeric_limits<Real>::min() ? Real(0) : x; }

// m and v are running means of g and g^2, both divided by what they lack of weight 1 in the first steps:
//   w -= lr decay w;   w -= lr (m / c1) / (sqrt(v / c2) + epsilon)
class AdamW : public Optimiser {
  using Optimiser::Optimiser;
  void update_range(Real* w, const Real* g, Real* m, Real* v, Index n, const Step& s,
                    Real decay) const override {
    const Real beta1 = Real(config_.beta1), beta2 = Real(config_.beta2), epsilon = Real(config_.epsilon);
    const Real new1 = Real(1 - config_.beta1), new2 = Real(1 - config_.beta2);  // not of rounded betas
    const Real rate = s.learning_rate / s.correction1, root = 1 / std::sqrt(s.correction2);
    const Real keep = 1 - s.learning_rate * decay;
    for (Index i = 0; i < n; ++i) {
      const Real gi = s.gradient_scale * g[i];
      m[i] = without_denormals(beta1 * m[i] + new1 * gi);
      v[i] = without_denormals(beta2 * v[i] + new2 * gi * gi);
      w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) * root + epsilon);
    }
  }
};

// fairseq adds epsilon to the uncorrected root, which makes it larger in the first steps:
//   w -= lr decay w;   w -= lr sqrt(c2) / c1 m / (sqrt(v) + epsilon)
class FairseqAdam : public Optimiser {
  using Optimiser::Optimiser;
  void update_range(Real* w, const Real* g, Real* m, Real* v, Index n, const Step& s,
                    Real decay) const override {
    const Real beta1 = Real(config_.beta1), beta2 = Real(config_.beta2), epsilon = Real(config_.epsilon);
    const Real new1 = Real(1 - config_.beta1), new2 = Real(1 - config_.beta2);  // not of rounded betas
    const Real rate = s.learning_rate * std::sqrt(s.correction2) / s.correction1;
    const Real keep = 1 - s.learning_rate * decay;
    for (Index i = 0; i < n; ++i) {
      const Real gi = s.gradient_scale * g[i];
      m[i] = without_denormals(beta1 * m[i] + new1 * gi);
      v[i] = without_denormals(beta2 * v[i] + new2 * gi * gi);
      w[i] = keep * w[i] - rate * m[i] / (std::sqrt(v[i]) + epsilon);
    }
  }
};

}  // namespace

DecayGroup decay_group(const std::string& name) {
  if (name == "matrices") return [](const Parameter& p) { return p.shape.rank >= 2; };
  if (name == "all") return [](const Parameter&) { return true; };
  if (name == "none") return [](const Parameter&) { return false; };
  fail("no decay group " + name, "", "", suggestion(name, {"matrices", "all", "none"}));
}

Optimiser::Optimiser(const Parameters& parameters, const OptimiserConfig& config, DecayGroup decays)
    : first_moment(parameters.flat_size()), second_moment(parameters.flat_size()), config_(config) {
  const auto share = [](const char* what, double x) {
    if (!(x >= 0 && Real(x) < 1)) fail(what, std::to_string(x), "0 <= value < 1");
  };
  share("beta1", config.beta1);
  share("beta2", config.beta2);
  // Where a gradient has been 0 so far, both moments are: 0 / 0 would be the end of its weight.
  if (!(Real(config.epsilon) > 0)) fail("epsilon of Adam", std::to_string(config.epsilon), "above 0");
  if (!(config.weight_decay >= 0)) fail("weight decay", std::to_string(config.weight_decay), "at least 0");
  const std::vector<Parameter>& list = parameters.list();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Index end = i + 1 < list.size() ? list[i + 1].offset : parameters.flat_size();
    segments_.push_back({end, decays(list[i]) ? Real(config.weight_decay) : Real(0), list[i].trained});
  }
}

void Optimiser::update(Real* values, const Real* gradients, Index first, Index last, Index step,
                       double learning_rate, double gradient_scale) {
  const auto t = static_cast<double>(step);
  const Step constants{Real(gradient_scale), Real(learning_rate), Real(1 - std::pow(config_.beta1, t)),
                       Real(1 - std::pow(config_.beta2, t))};
  Index begin = 0;
  for (const auto& [end, decay, trained] : segments_) {
    const Index from = std::max(first, begin), to = std::min(last, end);
    if (trained && from < to) {
      update_range(values + from, gradients + from, first_moment.data() + from, second_moment.data() + from,
                   to - from, constants, decay);
    }
    begin = end;
  }
}

std::unique_ptr<Optimiser> make_optimiser(const std::string& name, const Parameters& parameters,
                                          const OptimiserConfig& config, DecayGroup decays) {
  if (name == "adamw") return std::make_unique<AdamW>(parameters, config, decays);
  if (name == "fairseq-adam") return std::make_unique<FairseqAdam>(parameters, config, decays);
  fail("no optimiser " + name, "", "", suggestion(name, {"adamw", "fairseq-adam"}));
}

double sum_of_squares(const Real* x, Index n) {
  double total = 0;
  EF_REDUCE(total)
  for (Index i = 0; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

double learning_rate(const ScheduleConfig& s, Index done) {
  const auto t = static_cast<double>(done), warmup = static_cast<double>(s.warmup),
             total = static_cast<double>(s.total);
  double after_warmup = s.peak;
  if (s.name == "cosine") {
    const double progress = std::min(1.0, (t - warmup) / std::max(1.0, total - warmup));
    after_warmup = s.floor + (s.peak - s.floor) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  } else if (s.name == "inverse-sqrt") {
    after_warmup = s.peak * std::sqrt(std::max(1.0, warmup) / std::max(1.0, t));
  } else if (s.name == "wsd") {
    const double decay = s.decay_share * total;
    const double left = decay > 0 ? std::clamp((total - t) / decay, 0.0, 1.0) : 1.0;
    after_warmup = s.floor + (s.peak - s.floor) * left;
  } else if (s.name != "constant") {
    fail("no learning-rate schedule " + s.name, "", "",
         suggestion(s.name, {"constant", "cosine", "inverse-sqrt", "wsd"}));
  }
  return done < s.warmup ? s.warmup_start + (s.peak - s.warmup_start) * t / warmup : after_warmup;
}

}  // namespace ef
