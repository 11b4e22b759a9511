// Parts of attentions that are composed op by op, where the fused causal_attention does not do.
#include <cmath>

#include "engine/error.h"
#include "engine/math.h"
#include "engine/ops.h"
#include "engine/place_by_place.h"

namespace ef {

// y = c tanh(x / c) (Gemma 2, Gemma Team 2024).  With t = y / c: dx = (1 - t^2) dy.
EF_FUNCTION(soft_cap, Real(c) * fast_tanh(x * Real(1 / c)), 1 - (y * Real(1 / c)) * (y * Real(1 / c)))

Tensor soft_cap(const Tensor& x, double cap) {
  if (!(cap > 0)) fail("soft_cap: cap", std::to_string(cap), "above 0");
  return unary<soft_cap_function>("soft_cap", x, cap);
}

// y = mean over the R rows of -sum_j p_j log p_j (Shannon 1948), in nats; 0 log 0 = 0.
// dp_j = -(log p_j + 1) dy / R. At p_j = 0 the derivative is +infinity; there it is taken as 0. That is right
// wherever p comes from a softmax, whose backward multiplies it with p_j: p_j log p_j -> 0, so nothing passes
// through an entry of 0 (a token of the future, or an underflow).
Tensor mean_entropy(const Tensor& p) {
  const Index rows = p.shape.rows(), n = p.size();
  if (rows == 0) fail("mean_entropy: rows", "none", "at least 1");
  Tensor y = Tape::current().output("mean_entropy", {1}, {p});
  double total = 0;
  for (Index i = 0; i < n; ++i) {
    if (p.data[i] != 0) total -= static_cast<double>(p.data[i] * std::log(p.data[i]));  // a NaN passes
  }
  y.data[0] = Real(total / static_cast<double>(rows));
  return Tape::current().record(y, [=] {
    const Real factor = y.grad[0] / Real(rows);
    for (Index i = 0; i < n; ++i) {
      if (p.data[i] != 0) p.grad[i] -= (std::log(p.data[i]) + 1) * factor;
    }
  });
}

// y = (a / b) x.  dx = (a / b) dy;  with s = <dy, x>: da = s / b,  db = -a s / b^2.
Tensor scale_by_ratio(const Tensor& x, const Tensor& a, const Tensor& b) {
  check_shape(a.shape == Shape{1}, "scale_by_ratio", "a", a, "[1]");
  check_shape(b.shape == Shape{1}, "scale_by_ratio", "b", b, "[1]");
  Tensor y = Tape::current().output("scale_by_ratio", x.shape, {x, a, b});
  const Index n = x.size();
  const Real ratio = a.data[0] / b.data[0];
  for (Index i = 0; i < n; ++i) y.data[i] = ratio * x.data[i];
  return Tape::current().record(y, [=] {
    if (x.grad) {
      for (Index i = 0; i < n; ++i) x.grad[i] += ratio * y.grad[i];
    }
    if (!a.grad && !b.grad) return;
    double s = 0;  // double: a float32 sum of many terms would lose digits
    for (Index i = 0; i < n; ++i) s += static_cast<double>(y.grad[i]) * static_cast<double>(x.data[i]);
    const Real over_b = Real(s) / b.data[0];
    if (a.grad) a.grad[0] += over_b;
    if (b.grad) b.grad[0] -= ratio * over_b;
  });
}

}  // namespace ef
