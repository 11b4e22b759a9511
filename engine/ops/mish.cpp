// mish: x tanh(log(1 + e^x)) (Misra 2019).
#include <cmath>

#include "engine/place_by_place.h"

namespace ef {
namespace {

// tanh(log(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2), times e^-2x above 0 so that nothing overflows. (A
// call to the library's log1p would not be vectorised, and take three times as long as all else.)
Real gate(Real x) {
  const Real e = fast_exp(-std::fabs(x)), n = x < 0 ? e * (e + 2) : 1 + 2 * e;
  return n / (n + 2 * (x < 0 ? 1 : e * e));
}
Real slope_at(Real x, Real g) { return g + x * (1 - g * g) / (1 + fast_exp(-x)); }

}  // namespace

EF_ACTIVATION(mish, "mish", gate(x) * x, slope_at(x, gate(x)), everywhere)

}  // namespace ef
