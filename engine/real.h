// The number type of all tensors, and the type of all sizes.
#pragma once
#include <cstddef>

namespace ef {

// float32 trains; the same sources built with -DEF_DOUBLE check gradients in double precision.
#ifdef EF_DOUBLE
using Real = double;
#else
using Real = float;
#endif

// Signed, so that differences and downward loops are safe, and as wide as a pointer.
using Index = std::ptrdiff_t;

}  // namespace ef
