// Activations: y = f(x), dx = f'(x) dy, element by element.
#include <cmath>
#include <numbers>

#include "engine/math.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

// f(x) and f'(x).
struct Evaluated {
  Real value, slope;
};

Real sigmoid(Real x) { return 1 / (1 + fast_exp(-x)); }

struct Relu {
  static Evaluated at(Real x) { return {x < 0 ? Real(0) : x, Real(x > 0)}; }  // a NaN passes
};

// f(x) = x Phi(x), Phi(x) = (1 + erf(x / sqrt 2)) / 2;  f'(x) = Phi(x) + x phi(x)  (Hendrycks and Gimpel
// 2016).
struct Gelu {
  static Evaluated at(Real x) {
    constexpr Real inv_sqrt2 = Real(1 / std::numbers::sqrt2);
    constexpr Real inv_sqrt_2pi = Real(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
    const Real cdf = Real(0.5) * (1 + fast_erf(x * inv_sqrt2));
    return {x * cdf, cdf + x * inv_sqrt_2pi * fast_exp(Real(-0.5) * x * x)};
  }
};

// f(x) = x (1 + tanh u) / 2, u = sqrt(2/pi) (x + 0.044715 x^3). As (1 + tanh u) / 2 = sigmoid(2 u) = s:
// f(x) = x s,  f'(x) = s + x s (1 - s) 2 du/dx.
struct GeluTanh {
  static Evaluated at(Real x) {
    constexpr Real a = Real(2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // 2 sqrt(2 / pi)
    constexpr Real b = Real(0.044715);
    const Real s = sigmoid(a * (x + b * x * x * x));
    return {x * s, s + x * s * (1 - s) * a * (1 + 3 * b * x * x)};
  }
};

// f(x) = x s, s = sigmoid(x);  f'(x) = s + x s (1 - s).
struct Silu {
  static Evaluated at(Real x) {
    const Real s = sigmoid(x);
    return {x * s, s + x * s * (1 - s)};
  }
};

// The loops. What a loop does not use of f, the compiler leaves out; it is told that x, y and dy do not
// overlap unless they are the same, and vectorises.
template <class F>
void values(const Real* x, Real* y, Index n) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) y[i] = F::at(x[i]).value;
}

template <class F>
void values_and_slopes(const Real* x, Real* y, Real* dy, Index n) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) {
    const Evaluated f = F::at(x[i]);
    y[i] = f.value;
    dy[i] *= f.slope;
  }
}

// Nothing is saved: the slope is computed from x.
template <class F>
Tensor elementwise(const char* op, const Tensor& x) {
  Tensor y = Tape::current().output(op, x.shape, {x});
  values<F>(x.data, y.data, x.size());
  return Tape::current().record(y, x.grad, [=] {
    const Real* in = x.data;
    pass_on(y, x, [=](Index i, Real dy) { return F::at(in[i]).slope * dy; });
  });
}

template <class F>
Activation form(const char* name, Tensor (*op)(const Tensor&)) {
  return {name, op, values<F>, values_and_slopes<F>};
}

}  // namespace

Tensor relu(const Tensor& x) { return elementwise<Relu>("relu", x); }
Tensor gelu(const Tensor& x) { return elementwise<Gelu>("gelu", x); }
Tensor gelu_tanh(const Tensor& x) { return elementwise<GeluTanh>("gelu_tanh", x); }
Tensor silu(const Tensor& x) { return elementwise<Silu>("silu", x); }

const std::vector<Activation>& activations() {
  static const std::vector<Activation> all = {form<Relu>("relu", relu), form<Gelu>("gelu", gelu),
                                              form<GeluTanh>("gelu-tanh", gelu_tanh),
                                              form<Silu>("silu", silu)};
  return all;
}

}  // namespace ef
