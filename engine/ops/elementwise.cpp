// Sums, products and dropout, element by element.
#include <algorithm>

#include "engine/error.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

// Whether the shape of b is how the shape of a ends.
bool is_suffix(const Shape& b, const Shape& a) {
  if (b.rank == 0 || b.rank > a.rank) return false;
  for (int i = 1; i <= b.rank; ++i) {
    if (b[b.rank - i] != a[a.rank - i]) return false;
  }
  return true;
}

void check_suffix(const char* op, const Tensor& a, const Tensor& b) {
  check_shape(is_suffix(b.shape, a.shape), op, "b", b.shape, "the last axes of ", a.shape);
}

}  // namespace

// y = a + b, b repeated over the leading axes of a.  da = dy, db = sum over the repetitions of dy.
Tensor add(const Tensor& a, const Tensor& b) {
  check_suffix("add", a, b);
  Tensor y = Tape::current().output("add", a.shape, {a, b});
  const Index n = b.size(), repeats = n ? a.size() / n : 0;
  for (Index r = 0; r < repeats; ++r) {
    for (Index i = 0; i < n; ++i) y.data[r * n + i] = a.data[r * n + i] + b.data[i];
  }
  return Tape::current().record(y, a.grad, [=] {
    const Real* dy = y.grad;
    Real* db = b.grad;
    for (Index r = 0; db && r < repeats; ++r) {
      for (Index i = 0; i < n; ++i) db[i] += dy[r * n + i];
    }
    if (a.grad && a.grad != y.grad) pass_on(y, a, [](Index, Real d) { return d; });
  });
}

// y = a b, b repeated over the leading axes of a.  da = dy b, db = sum over the repetitions of dy a.
Tensor mul(const Tensor& a, const Tensor& b) {
  check_suffix("mul", a, b);
  Tensor y = Tape::current().output("mul", a.shape, {a, b});
  const Index n = b.size(), repeats = n ? a.size() / n : 0;
  for (Index r = 0; r < repeats; ++r) {
    for (Index i = 0; i < n; ++i) y.data[r * n + i] = a.data[r * n + i] * b.data[i];
  }
  return Tape::current().record(y, [=] {
    const Real* dy = y.grad;
    Real *da = a.grad, *db = b.grad;
    for (Index r = 0; r < repeats; ++r) {
      for (Index i = 0; da && i < n; ++i) da[r * n + i] += dy[r * n + i] * b.data[i];
      for (Index i = 0; db && i < n; ++i) db[i] += dy[r * n + i] * a.data[r * n + i];
    }
  });
}

// y = factor x.  dx = factor dy.
Tensor scale(const Tensor& x, Real factor) {
  Tensor y = Tape::current().output("scale", x.shape, {x});
  const Index n = x.size();
  for (Index i = 0; i < n; ++i) y.data[i] = factor * x.data[i];
  return Tape::current().record(y, x.grad,
                                [=] { pass_on(y, x, [=](Index, Real dy) { return factor * dy; }); });
}

// y = m x / (1 - p), m = 0 with probability p, else 1 (Srivastava et al. 2014).  dx = m dy / (1 - p).
// The mask is a function of seed, step, call and the element's place in the whole batch: it is drawn again in
// the backward instead of being saved, and does not depend on how the batch is divided among workers.
Tensor dropout(const Tensor& x, double p) {
  if (!(p >= 0 && p < 1)) fail("dropout: p", std::to_string(p), "0 <= p < 1");
  Tape& tape = Tape::current();
  if (p == 0 || !tape.training) return x;
  Random random = tape.random;
  random.stream = stream_of(Purpose::dropout, tape.next_stream());
  const Index sequence = x.shape[0] ? x.size() / x.shape[0] : 0;
  const Index first = tape.first_sequence * sequence;
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
  return tape.record(y, x.grad, [=] { masked(y.grad, x.grad, x.grad != y.grad); });
}

}  // namespace ef
