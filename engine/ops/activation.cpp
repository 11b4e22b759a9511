// Activations: y = f(x), dx = f'(x) dy, element by element.
#include <cmath>
#include <numbers>

#include "engine/math.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

// Both are given by the formula for one element; the derivative is computed anew from x, nothing is saved.
// Local pointers tell the compiler that they do not change inside the loop, which it then vectorises.
template <class Value, class Derivative>
Tensor elementwise(const char* op, const Tensor& x, Value value, Derivative derivative) {
  Tensor y = Tape::current().output(op, x.shape, {x});
  const Index n = x.size();
  const Real* in = x.data;
  Real* out = y.data;
  for (Index i = 0; i < n; ++i) out[i] = value(in[i]);
  return Tape::current().record(
      y, x.grad, [=] { pass_on(y, x, [=](Index i, Real dy) { return derivative(in[i]) * dy; }); });
}

Real sigmoid(Real x) { return 1 / (1 + fast_exp(-x)); }

}  // namespace

Tensor relu(const Tensor& x) {
  return elementwise(
      "relu", x, [](Real v) { return v < 0 ? Real(0) : v; },  // a NaN passes
      [](Real v) { return Real(v > 0); });
}

// f(x) = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2;  f'(x) = Phi(x) + x phi(x)  (Hendrycks and Gimpel
// 2016).
Tensor gelu(const Tensor& x) {
  constexpr Real inv_sqrt2 = Real(1 / std::numbers::sqrt2);
  constexpr Real inv_sqrt_2pi = Real(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
  const auto cdf = [](Real v) { return Real(0.5) * (1 + fast_erf(v * inv_sqrt2)); };
  return elementwise(
      "gelu", x, [=](Real v) { return v * cdf(v); },
      [=](Real v) { return cdf(v) + v * inv_sqrt_2pi * fast_exp(Real(-0.5) * v * v); });
}

// f(x) = x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3). As (1 + tanh u) / 2 = sigmoid(2 u) = s:
// f(x) = x s,  f'(x) = s + x s (1 - s) 2 du/dx.
Tensor gelu_tanh(const Tensor& x) {
  constexpr Real a = Real(2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // 2 sqrt(2 / pi)
  constexpr Real b = Real(0.044715);
  const auto gate = [](Real v) { return sigmoid(a * (v + b * v * v * v)); };
  return elementwise(
      "gelu_tanh", x, [=](Real v) { return v * gate(v); },
      [=](Real v) {
        const Real s = gate(v);
        return s + v * s * (1 - s) * a * (1 + 3 * b * v * v);
      });
}

// f(x) = x s, s = sigmoid(x);  f'(x) = s + x s (1 - s).
Tensor silu(const Tensor& x) {
  return elementwise(
      "silu", x, [](Real v) { return v * sigmoid(v); },
      [](Real v) {
        const Real s = sigmoid(v);
        return s + v * s * (1 - s);
      });
}

}  // namespace ef
