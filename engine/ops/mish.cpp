// mish: x tanh(log(1 + e^x)) (Misra 2019).
#include "engine/place_by_place.h"

namespace ef {
namespace {
Real gate(Real x) { return fast_tanh(std::log1p(fast_exp(x))); }
}  // namespace

EF_ACTIVATION(mish, "mish", x* gate(x), gate(x) + x * (1 - gate(x) * gate(x)) / (1 + fast_exp(-x)),
              everywhere)

}  // namespace ef
