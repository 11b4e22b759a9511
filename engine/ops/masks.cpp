// Masks by position, and the choice between two tensors by a mask.
#include "engine/error.h"
#include "engine/ops.h"
#include "engine/place_by_place.h"

namespace ef {

Tensor position_mask(Index rows, Index columns, const std::function<bool(Index, Index)>& seen) {
  Tensor y = Tape::current().output("position_mask", {rows, columns}, {});
  for (Index row = 0; row < rows; ++row) {
    for (Index column = 0; column < columns; ++column) y.data[row * columns + column] = seen(row, column);
  }
  return Tape::current().record(y, [] {});
}

Tensor causal_mask(Index tokens, Index rows) {
  const Index before = tokens - (rows < 0 ? tokens : rows);
  if (before < 0) fail("causal_mask: rows", std::to_string(rows), "at most " + std::to_string(tokens));
  return position_mask(tokens - before, tokens,
                       [before](Index row, Index column) { return column <= before + row; });
}

Tensor window_mask(Index tokens, Index window, Index rows) {
  if (window < 1) fail("window_mask: window", std::to_string(window), "at least 1");
  const Index before = tokens - (rows < 0 ? tokens : rows);
  if (before < 0) fail("window_mask: rows", std::to_string(rows), "at most " + std::to_string(tokens));
  return position_mask(tokens - before, tokens, [before, window](Index row, Index column) {
    return column <= before + row && before + row - column < window;
  });
}

namespace {

void check_mask(const Tensor& mask) {
  if (!mask.grad) return;
  fail("where: " + described("mask", mask), "a tensor with a gradient", "a mask",
       "nothing passes back through it; less, greater, causal_mask and others make masks");
}

}  // namespace

// y = a where m, else b.  da = m ? dy : 0,  db = sum over the repetitions of m ? 0 : dy.
Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  check_mask(mask);
  const Fit places = fit("where", a.shape, {{"mask", mask}, {"b", b}});
  const Index n = places.n[3], step_m = places.step[0][3], step_b = places.step[1][3];
  Tensor y = Tape::current().output("where", a.shape, {a, b});
  places.each_run([&](Index at, Index from_m, Index from_b) {
    for (Index i = 0; i < n; ++i)
      y.data[at + i] = mask.data[from_m + i * step_m] != 0 ? a.data[at + i] : b.data[from_b + i * step_b];
  });
  return Tape::current().record(y, [=] {
    const Real* dy = y.grad;
    Real *da = a.grad, *db = b.grad;
    places.each_run([=](Index at, Index from_m, Index from_b) {
      const Real* m = mask.data + from_m;
      for (Index i = 0; da && i < n; ++i) da[at + i] += m[i * step_m] != 0 ? dy[at + i] : Real(0);
      double total = 0;  // double: a float32 sum of many terms would lose digits
      for (Index i = 0; db && i < n; ++i) {
        const Real d = m[i * step_m] != 0 ? Real(0) : dy[at + i];
        if (step_b == 1)
          db[from_b + i] += d;
        else
          total += static_cast<double>(d);
      }
      if (db && step_b == 0) db[from_b] += Real(total);
    });
  });
}

Tensor where(const Tensor& mask, const Tensor& a, double b) {
  check_mask(mask);
  const Fit places = fit("where", a.shape, {{"mask", mask}});
  const Index n = places.n[3], step = places.step[0][3];
  const Real other = Real(b);
  Tensor y = Tape::current().output("where", a.shape, {a});
  places.each_run([&](Index at, Index from, Index) {
    for (Index i = 0; i < n; ++i) y.data[at + i] = mask.data[from + i * step] != 0 ? a.data[at + i] : other;
  });
  return Tape::current().record_in_place(y, a, [=](const Real* dy, Real* da, bool adds) {
    places.each_run([=](Index at, Index from, Index) {
      for (Index i = 0; i < n; ++i) {
        const Real d = mask.data[from + i * step] != 0 ? dy[at + i] : Real(0);
        da[at + i] = adds ? da[at + i] + d : d;
      }
    });
  });
}

}  // namespace ef
