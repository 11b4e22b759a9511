// exp, tanh and erf that a compiler can vectorise: no branches, no calls, strict floating point.
//
// The library's expf costs ten times as much because a loop around a call stays scalar. In double, where only
// gradients are checked and speed is no matter, these are the library's own. The coefficients are Chebyshev
// least-squares fits on the stated intervals; tests/engine/math_test.cpp checks the stated bounds. The
// largest errors over all floats, measured: exp 1.06 (both), tanh 1.34, erf 2.77 units in the last place.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "engine/real.h"

// Lets the compiler reorder the additions of one reduction loop (and of no other), so that it vectorises.
#define EF_REDUCE(variable) _Pragma(EF_STRINGIFY(omp simd reduction(+ : variable)))
#define EF_STRINGIFY(text) #text

namespace ef {

// e^x, at most 2 units in the last place off; 0 and infinity where float ends, NaN for NaN.
// x = n ln 2 + r with |r| <= ln 2 / 2, so e^x = 2^n e^r; e^r is a polynomial of degree 6.
inline float fast_exp(float x) {
  x = x > 89.0f ? 89.0f : x;  // written so that a NaN passes
  x = x < -104.0f ? -104.0f : x;
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits of the sum.
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts (Cody and Waite 1980)
  float p = 1.3946447e-3f;
  p = p * r + 8.3691517e-3f;
  p = p * r + 4.1666263e-2f;
  p = p * r + 1.6666516e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  // 2^n in two halves, so that neither overflows where the product is still a (denormal) float.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - 0x4B400000u;
  const auto half = static_cast<std::uint32_t>(static_cast<std::int32_t>(exponent) >> 1);
  return p * std::bit_cast<float>((half + 127u) << 23) * std::bit_cast<float>((exponent - half + 127u) << 23);
}

// e^x where x <= 88, as it is of a number less its largest: 2 units in the last place off at most, and 0
// below -87, where fast_exp would still make denormals. That saves a third of the instructions: no limit
// above, and 2^n goes right into the exponent of e^r.
inline float fast_exp_at_most_88(float x) {
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.3946447e-3f;
  p = p * r + 8.3691517e-3f;
  p = p * r + 4.1666263e-2f;
  p = p * r + 1.6666516e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  // The shift leaves nothing of the 1.5 * 2^23. Of a NaN it leaves a NaN.
  p = std::bit_cast<float>(std::bit_cast<std::uint32_t>(p) + (std::bit_cast<std::uint32_t>(shifted) << 23));
  return x < -87.0f ? 0.0f : p;
}

// tanh x, at most 3 units in the last place off: a polynomial below 0.625, 1 - 2 / (e^2|x| + 1) above.
inline float fast_tanh(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = 2.2955368e-3f;
  p = p * z - 8.3466534e-3f;
  p = p * z + 2.1769833e-2f;
  p = p * z - 5.3959384e-2f;
  p = p * z + 1.3333304e-1f;
  p = p * z - 3.3333333e-1f;
  const float small = x + x * z * p;
  const float large = std::copysign(1.0f - 2.0f / (fast_exp(2.0f * a) + 1.0f), x);
  return a > 0.625f ? large : small;
}

// erf x, at most 3 units in the last place off: a polynomial below 0.84375, 1 - e^q(|x|) above.
inline float fast_erf(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = 8.8934315e-5f;
  p = p * z - 8.2559349e-4f;
  p = p * z + 5.2101857e-3f;
  p = p * z - 2.6862793e-2f;
  p = p * z + 1.1283752e-1f;
  p = p * z - 3.7612637e-1f;
  p = p * z + 1.12837917f;
  const float c = a > 4.0f ? 4.0f : a;  // erf(4) is 1 in float
  float q = -1.9190392e-5f;
  q = q * c + 4.1008792e-4f;
  q = q * c - 4.0421588e-3f;
  q = q * c + 2.4754137e-2f;
  q = q * c - 1.0768070e-1f;
  q = q * c - 6.3391685e-1f;
  q = q * c - 1.1292238f;
  q = q * c + 1.1296797e-4f;
  const float large = std::copysign(1.0f - fast_exp(q), x);
  return a > 0.84375f ? large : p * x;  // for NaN the comparison is false and p * x is NaN
}

inline double fast_exp(double x) { return std::exp(x); }
inline double fast_exp_at_most_88(double x) { return std::exp(x); }
inline double fast_tanh(double x) { return std::tanh(x); }
inline double fast_erf(double x) { return std::erf(x); }

}  // namespace ef
