// Optimisers: from gradients to the next weights.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/parameters.h"

namespace ef {

struct OptimiserConfig {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0.1;  // decoupled: w shrinks by learning rate * weight decay a step
};

// Whether a parameter decays. Groups by name: "matrices" (two or more axes: not gains and biases), "all",
// "none".
using DecayGroup = bool (*)(const Parameter&);
DecayGroup decay_group(const std::string& name);  // Error with the nearest name

// The moments and the rule. One flat buffer each, laid out as the parameters.
class Optimiser {
 public:
  Optimiser(const Parameters& parameters, const OptimiserConfig& config, DecayGroup decays);
  virtual ~Optimiser() = default;

  // Updates the numbers [first, last) of the flat buffers, so that workers can share the work: `step` counts
  // from 1, gradients are multiplied by `gradient_scale` (clipping) before use.
  void update(Real* values, const Real* gradients, Index first, Index last, Index step, double learning_rate,
              double gradient_scale);

  Buffer first_moment, second_moment;  // running means of the gradient and of its square

 protected:
  // What a rule needs to know of a step, computed once.
  struct Step {
    Real gradient_scale, learning_rate, correction1, correction2;  // 1 - beta1^step, 1 - beta2^step
  };
  virtual void update_range(Real* w, const Real* g, Real* m, Real* v, Index n, const Step& step,
                            Real decay) const = 0;
  OptimiserConfig config_;

 private:
  struct Segment {
    Index end;
    Real decay;
    bool trained;
  };
  std::vector<Segment> segments_;  // one a parameter, in their order
};

// By name: "adamw" (Loshchilov and Hutter 2019, as PyTorch computes it) or "fairseq-adam". Error with the
// nearest name.
std::unique_ptr<Optimiser> make_optimiser(const std::string& name, const Parameters& parameters,
                                          const OptimiserConfig& config, DecayGroup decays);

// The sum of squares of n numbers, in double: a fixed order of addition for a given n.
double sum_of_squares(const Real* x, Index n);

// Learning rates by name: "constant", "cosine", "inverse-sqrt", "wsd". All warm up linearly first.
struct ScheduleConfig {
  std::string name = "cosine";
  double peak = 1e-3;        // learning rate at the end of the warm-up
  double floor = 0;          // where cosine and wsd end
  double warmup_start = 0;   // the learning rate of update 0 when there is a warm-up
  Index warmup = 0;          // updates
  Index total = 1000;        // updates
  double decay_share = 0.2;  // wsd: the share of all updates over which it decays linearly at the end
};

// The learning rate of the update that follows `done` updates.
//   warm-up       start + (peak - start) done / warmup                      for done < warmup
//   constant      peak
//   cosine        floor + (peak - floor) (1 + cos(pi s)) / 2, s = (done - warmup) / (total - warmup)
//   inverse-sqrt  peak sqrt(warmup / done)                                  (Vaswani et al. 2017, as fairseq)
//   wsd           peak, and over the last share linearly to floor           (warm-up, stable, decay: Hu et
//   al. 2024)
double learning_rate(const ScheduleConfig& schedule, Index done);  // Error with the nearest name

}  // namespace ef
