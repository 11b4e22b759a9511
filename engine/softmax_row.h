// The softmax of one row: shared by softmax, attention and cross-entropy.
#pragma once
#include <algorithm>
#include <cmath>

#include "engine/math.h"

namespace ef {

// The largest of n >= 1 numbers. A comparison with NaN is false, so a NaN may be passed over here; it shows
// in the sum that follows.
inline Real largest(const Real* x, Index n) {
  Real top = x[0];
#pragma omp simd reduction(max : top)
  for (Index i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  return top;
}

// out[i] = e^(x[i] - c) with c = max x, so that nothing overflows; returns c, and sum out through `total`: so
// log(sum e^x) is c + log(total). x and out may be the same.
inline Real exponentials(const Real* x, Real* out, Index n, Real* total) {
  const Real top = largest(x, n);
  Real s = 0;
  EF_REDUCE(s) for (Index i = 0; i < n; ++i) {
    const Real e = fast_exp_at_most_88(x[i] - top);
    out[i] = e;
    s += e;
  }
  *total = s;
  return top;
}

// The sum of e^(x[i] - c).
inline Real sum_of_exponentials(const Real* x, Real c, Index n) {
  Real s = 0;
  EF_REDUCE(s) for (Index i = 0; i < n; ++i) s += fast_exp_at_most_88(x[i] - c);
  return s;
}

// What a softmax can be computed from again, bit for bit: softmax(x)[i] = e^(x[i] - top) * inverse. The log
// of the sum, top - log(inverse), would be one number, but at logits of 10^4 it has lost 5e-4 in float.
struct SoftmaxOf {
  Real top, inverse;
};

// out = softmax(x). x and out may be the same.
inline SoftmaxOf softmax_row(const Real* x, Real* out, Index n) {
  Real total = 0;
  const Real top = exponentials(x, out, n, &total);
  const Real inverse = 1 / total;
  for (Index i = 0; i < n; ++i) out[i] *= inverse;
  return {top, inverse};
}

}  // namespace ef
