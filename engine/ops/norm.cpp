// Normalisation over the last axis.
#include <cmath>

#include "engine/math.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

// y = g n + b, n = (x - mean) r, r = 1 / sqrt(variance + epsilon), statistics over the C channels of a row
// (Ba, Kiros and Hinton 2016).  With e = g dy:
// dx = r (e - mean(e) - n mean(e n)),  dg = sum over rows of dy n,  db = sum over rows of dy.
// Saved: mean and r of each row.
Tensor layer_norm(const Tensor& x, const Tensor& gain, const Tensor& bias, double epsilon) {
  const Index rows = x.shape.rows(), c = x.shape.last();
  check_shape(gain.shape == Shape{c}, "layer_norm", "gain", gain, Shape{c});
  if (bias) check_shape(bias.shape == Shape{c}, "layer_norm", "bias", bias, Shape{c});
  Tape& tape = Tape::current();
  Tensor y = tape.output("layer_norm", x.shape, {x, gain, bias});
  Real* means = tape.activations().allocate<Real>(rows);
  Real* inverses = tape.activations().allocate<Real>(rows);
  for (Index r = 0; r < rows; ++r) {
    const Real* in = x.data + r * c;
    Real* out = y.data + r * c;
    Real total = 0, squares = 0;
    EF_REDUCE(total) for (Index i = 0; i < c; ++i) total += in[i];
    const Real mean = total / Real(c);
    EF_REDUCE(squares) for (Index i = 0; i < c; ++i) squares += (in[i] - mean) * (in[i] - mean);
    const Real inverse = 1 / std::sqrt(squares / Real(c) + Real(epsilon));
    for (Index i = 0; i < c; ++i) out[i] = gain.data[i] * (in[i] - mean) * inverse;
    if (bias) {
      for (Index i = 0; i < c; ++i) out[i] += bias.data[i];
    }
    means[r] = mean;
    inverses[r] = inverse;
  }
  return tape.record(y, [=] {
    const Real* g = gain.data;
    Real *dg = gain.grad, *db = bias.grad;
    for (Index r = 0; r < rows; ++r) {
      const Real *in = x.data + r * c, *dy = y.grad + r * c;
      const Real mean = means[r], inverse = inverses[r];
      if (x.grad) {
        Real* dx = x.grad + r * c;
        Real e_sum = 0, en_sum = 0;
        EF_REDUCE(e_sum) for (Index i = 0; i < c; ++i) e_sum += g[i] * dy[i];
        EF_REDUCE(en_sum) for (Index i = 0; i < c; ++i) en_sum += g[i] * dy[i] * (in[i] - mean);
        const Real e_mean = e_sum / Real(c), en_mean = en_sum * inverse / Real(c);
        for (Index i = 0; i < c; ++i) {
          const Real n = (in[i] - mean) * inverse;
          dx[i] += inverse * (g[i] * dy[i] - e_mean - n * en_mean);
        }
      }
      for (Index i = 0; dg && i < c; ++i) dg[i] += dy[i] * (in[i] - mean) * inverse;
      for (Index i = 0; db && i < c; ++i) db[i] += dy[i];
    }
  });
}

// y = g n, n = x r, r = 1 / sqrt(mean(x^2) + epsilon) (Zhang and Sennrich 2019).  With e = g dy:
// dx = r (e - n mean(e n)),  dg = sum over rows of dy n.  Saved: r of each row.
Tensor rms_norm(const Tensor& x, const Tensor& gain, double epsilon) {
  const Index rows = x.shape.rows(), c = x.shape.last();
  check_shape(gain.shape == Shape{c}, "rms_norm", "gain", gain, Shape{c});
  Tape& tape = Tape::current();
  Tensor y = tape.output("rms_norm", x.shape, {x, gain});
  Real* inverses = tape.activations().allocate<Real>(rows);
  for (Index r = 0; r < rows; ++r) {
    const Real* in = x.data + r * c;
    Real squares = 0;
    EF_REDUCE(squares) for (Index i = 0; i < c; ++i) squares += in[i] * in[i];
    const Real inverse = 1 / std::sqrt(squares / Real(c) + Real(epsilon));
    for (Index i = 0; i < c; ++i) y.data[r * c + i] = gain.data[i] * in[i] * inverse;
    inverses[r] = inverse;
  }
  return tape.record(y, [=] {
    const Real* g = gain.data;
    Real* dg = gain.grad;
    for (Index r = 0; r < rows; ++r) {
      const Real *in = x.data + r * c, *dy = y.grad + r * c;
      const Real inverse = inverses[r];
      if (x.grad) {
        Real* dx = x.grad + r * c;
        Real ex_sum = 0;
        EF_REDUCE(ex_sum) for (Index i = 0; i < c; ++i) ex_sum += g[i] * dy[i] * in[i];
        const Real en_mean = ex_sum * inverse / Real(c);
        for (Index i = 0; i < c; ++i) dx[i] += inverse * (g[i] * dy[i] - in[i] * inverse * en_mean);
      }
      for (Index i = 0; dg && i < c; ++i) dg[i] += dy[i] * in[i] * inverse;
    }
  });
}

}  // namespace ef
