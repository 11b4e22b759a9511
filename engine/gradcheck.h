// Are the gradients of a function right? The first thing to call after writing or changing an op or a layer.
//
//   auto verdict = gradcheck([&](const std::vector<Tensor>& in) { return my_op(in[0], in[1]); },
//                            {random_input({3, 5}, 1), random_input({5}, 2)});
//   if (!verdict.ok) puts(verdict.message.c_str());
//
// Needs the double build (-DEF_DOUBLE): in float32, rounding hides real mistakes and shows false ones.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace ef {

struct GradcheckInput {
  Shape shape;
  std::vector<Real> values;  // row-major, shape.size() of them
};

// Standard normal numbers times `spread`, plus `offset`.
GradcheckInput random_input(const Shape& shape, std::uint64_t seed, double spread = 1, double offset = 0);

struct GradcheckOptions {
  double tolerance = 1e-6;     // of |analytic - numeric| / max(1, |analytic|, |numeric|)
  double step = 1e-5;          // of the central difference (f(x + step) - f(x - step)) / (2 step)
  Index full_jacobian = 4096;  // up to this many entries all are compared; beyond, random projections
  int projections = 12;
  std::uint64_t seed = 1;
};

struct GradcheckVerdict {
  bool ok = true;
  double worst = 0;     // the largest relative error met
  std::string message;  // the first thing that was wrong, empty if ok
};

// Checks that, for y = f(inputs):
//   - every number of y is written, and nothing outside of it (outputs start as NaN, between guard bands);
//   - the inputs are not changed, and a second call gives the same bits;
//   - each gradient agrees with central differences;
//   - gradients are added to what stands there, not assigned (they start as random numbers);
//   - an input that wants no gradient (grad == nullptr) is left alone, and the others' gradients are as
//   before, and so are they where the inputs are activations instead of parameters.
// Errors and numerical errors that f throws pass through. Throws Error in the float32 build.
GradcheckVerdict gradcheck(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                           const std::vector<GradcheckInput>& inputs, const GradcheckOptions& options = {});

}  // namespace ef
