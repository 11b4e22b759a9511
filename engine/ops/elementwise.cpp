// Sums, products, elementary functions and dropout, element by element: a line an op.
#include "engine/place_by_place.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/ops.h"

namespace ef {
namespace {

// x^0 is 1 also where x^-1 is infinite.
Real power_slope(Real x, Real p) { return p == 0 ? Real(0) : p * std::pow(x, p - 1); }

}  // namespace

// clang-format off
//        op        y of a and b               dy/da           dy/db           a derivative
EF_BINARY(add,      a + b,                     one,            one,            everywhere)
EF_BINARY(subtract, a - b,                     one,            Real(-1),       everywhere)
EF_BINARY(mul,      a * b,                     b,              a,              everywhere)
EF_BINARY(divide,   a / b,                     1 / b,          -y / b,         except_at_b_0)
// A NaN in either passes. Where both are equal a gets the gradient.
EF_BINARY(minimum,  a <= b || a != a ? a : b,  Real(a <= b),   Real(a > b),    except_at_a_b)
EF_BINARY(maximum,  a >= b || a != a ? a : b,  Real(a >= b),   Real(a < b),    except_at_a_b)

//       op        y of x                      dy/dx                           a derivative
EF_UNARY(negate,   -x,                         Real(-1),                       everywhere)
EF_UNARY(exp,      fast_exp(x),                y,                              everywhere)
EF_UNARY(log,      std::log(x),                1 / x,                          above_0)
EF_UNARY(sqrt,     std::sqrt(x),               Real(0.5) / y,                  above_0)
EF_UNARY(tanh,     fast_tanh(x),               1 - y * y,                      everywhere)
EF_UNARY(sigmoid,  1 / (1 + fast_exp(-x)),     y * (1 - y),                    everywhere)

//                     op        y of x and c              dy/dx                   a derivative
EF_UNARY_WITH_CONSTANT(scale,    Real(c) * x,              Real(c),                everywhere)
EF_UNARY_WITH_CONSTANT(add,      x + Real(c),              1,                      everywhere)
EF_UNARY_WITH_CONSTANT(power,    std::pow(x, Real(c)),     power_slope(x, Real(c)), above_0)
// As relu: a NaN passes, and at c itself nothing passes back.
EF_UNARY_WITH_CONSTANT(minimum,  x > Real(c) ? Real(c) : x, Real(x < Real(c)),     except_at_c)
EF_UNARY_WITH_CONSTANT(maximum,  x < Real(c) ? Real(c) : x, Real(x > Real(c)),     except_at_c)

//      op        1 where
EF_MASK(less,     x < Real(c))
EF_MASK(at_most,  x <= Real(c))
EF_MASK(greater,  x > Real(c))
EF_MASK(at_least, x >= Real(c))
// clang-format on

// y = m x / (1 - p), m = 0 with probability p, else 1 (Srivastava et al. 2014).  dx = m dy / (1 - p).
// The mask is a function of seed, step, call and the element's place in the whole batch: it is drawn again in
// the backward instead of being saved, and does not depend on how the batch is divided among workers.
Tensor dropout(const Tensor& x, double p) {
  if (!(p >= 0 && p < 1)) fail("dropout: p", std::to_string(p), "0 <= p < 1");
  Tape& tape = Tape::current();
  if (p == 0 || !tape.settings.training) return x;
  Random random = tape.settings.random;
  random.stream = stream_of(Purpose::dropout, tape.next_stream());
  const Index sequence = x.shape[0] ? x.size() / x.shape[0] : 0;
  const Index first = tape.settings.first_sequence * sequence;
  const auto threshold = static_cast<std::uint32_t>(p * 0x1p32);
  const Real keep = Real(1 / (1 - p));

  // out[i] (+)= m_i in[i] / (1 - p), as many neighbours at a time as the generator serves at once.
  const auto masked = [=](const Real* in, Real* out, bool adds) {
    constexpr Index most = Random::group_size;
    std::uint32_t bits[most];
    Real factor[most] = {};
    for (Index i = 0, n = x.size(); i < n;) {
      const Index offset = (first + i) % most, count = std::min(most - offset, n - i);
      random.group(static_cast<std::uint64_t>((first + i) / most), bits);
      for (Index b = 0; b < most / 4; ++b) {  // four neighbours share a block of the generator
        for (Index lane = 0; lane < 4; ++lane)
          factor[4 * b + lane] = bits[most / 4 * lane + b] >= threshold ? keep : Real(0);
      }
#pragma omp simd
      for (Index j = 0; j < count; ++j) {
        const Real f = factor[offset + j], value = f > 0 ? f * in[i + j] : Real(0);  // 0 also for infinity
        out[i + j] = adds ? out[i + j] + value : value;
      }
      i += count;
    }
  };
  Tensor y = tape.output("dropout", x.shape, {x});
  masked(x.data, y.data, false);
  return tape.record_in_place(y, x, masked);
}

}  // namespace ef
