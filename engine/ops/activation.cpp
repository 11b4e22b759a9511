// Activations: y = f(x), element by element.
#include <cmath>
#include <numbers>

#include "engine/math.h"
#include "engine/ops.h"
#include "engine/place_by_place.h"

namespace ef {
namespace {

Real logistic(Real x) { return 1 / (1 + fast_exp(-x)); }

// The standard normal distribution, Phi(x) = (1 + erf(x / sqrt 2)) / 2,
// and its density, phi(x) = e^(-x^2 / 2) / sqrt(2 pi).
Real normal_cdf(Real x) { return Real(0.5) * (1 + fast_erf(x * Real(1 / std::numbers::sqrt2))); }
constexpr Real inv_sqrt_2pi = Real(std::numbers::inv_sqrtpi / std::numbers::sqrt2);

// (1 + tanh u) / 2 = logistic(2 u), with 2 u = a (x + b x^3), a = 2 sqrt(2 / pi), b = 0.044715.
constexpr Real a = Real(2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
constexpr Real b = Real(0.044715);
Real tanh_gate(Real x) { return logistic(a * (x + b * x * x * x)); }

}  // namespace

// gelu: Hendrycks and Gimpel 2016. The slopes of a gate g = logistic(u) are g (1 - g) u'. They are written in
// x alone: y would have to be read from memory again. What value and slope share is computed once.
// clang-format off
//            op            name         y of x                    dy/dx                                               a derivative
EF_ACTIVATION(relu,         "relu",      x < 0 ? Real(0) : x,      Real(x > 0),                                        except_at_c)  // a NaN passes
EF_ACTIVATION(gelu,         "gelu",      x * normal_cdf(x),        normal_cdf(x) + x * inv_sqrt_2pi * fast_exp(Real(-0.5) * x * x), everywhere)
EF_ACTIVATION(gelu_tanh,    "gelu-tanh", x * tanh_gate(x),
              tanh_gate(x) + x * tanh_gate(x) * (1 - tanh_gate(x)) * a * (1 + 3 * b * x * x), everywhere)
EF_ACTIVATION(silu,         "silu",      x * logistic(x),          logistic(x) + x * logistic(x) * (1 - logistic(x)),  everywhere)
// So et al. 2021 (Primer)
EF_ACTIVATION(squared_relu, "squared-relu", x < 0 ? Real(0) : x * x, x > 0 ? 2 * x : Real(0),                          everywhere)
// clang-format on

namespace {
std::vector<Activation>& all_activations() {
  static std::vector<Activation> all;
  return all;
}
}  // namespace

const std::vector<Activation>& activations() { return all_activations(); }

bool add_activation(const Activation& activation) {
  all_activations().push_back(activation);
  return true;
}

}  // namespace ef
