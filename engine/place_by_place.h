// Ops that work place by place: y_i = f(x_i), or y_i = f(a_i, b_i) with b repeated to fit a.
//
// One line is a whole op: its name, its value and its slope as expressions, and where it has a slope. In them
// stand x, y = f(x), and c where the op takes a constant; or a, b and y = f(a, b), with the slopes by a and
// by b.
//
//   EF_UNARY(tanh, fast_tanh(x), 1 - y * y, everywhere)
//   EF_UNARY_WITH_CONSTANT(scale, Real(c) * x, Real(c), everywhere)
//   EF_BINARY(mul, a * b, b, a, everywhere)
//
// From it follow the loops of the forward and of the backward, who takes over whose gradient, how b is
// repeated, and the op's check: tests/gradients tries every op that place_by_place_ops() lists against
// central differences. The line defines what engine/ops.h (or the file that wants an op of its own) declares.
#pragma once
#include <array>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "engine/math.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

// ---- What tests try
// ----------------------------------------------------------------------------------------

// Where an op has a derivative, so that differences can be compared with it.
enum class Smooth {
  everywhere,
  above_0,        // x > 0
  except_at_c,    // x is not the constant, nor 0 where there is none
  except_at_b_0,  // b is not 0
  except_at_a_b   // a is not b
};

// An op as a table's entry. One of the three forms is there, the others are nullptr.
struct PlaceByPlace {
  const char* name;
  Smooth smooth;
  Tensor (*unary)(const Tensor& x) = nullptr;
  Tensor (*with_constant)(const Tensor& x, double c) = nullptr;
  Tensor (*binary)(const Tensor& a, const Tensor& b) = nullptr;
};
const std::vector<PlaceByPlace>& place_by_place_ops();
bool add_place_by_place(const PlaceByPlace& op);  // returns true; the macros below call it

// ---- How a smaller tensor is repeated
// ----------------------------------------------------------------------

// Up to two tensors beside a larger one. Axes along which all of them do alike are one axis here.
struct Fit {
  std::array<Index, 4> n{1, 1, 1, 1};          // the sizes of the larger one
  std::array<std::array<Index, 4>, 2> step{};  // how the others move along these axes: 0 where repeated

  // Calls run(at, from, from2) for each stretch of n[3] neighbours: where it begins in the larger tensor and
  // in the others. Along it the others move by step[.][3], 0 or 1.
  template <class Run>
  void each_run(Run run) const {
    Index at = 0;
    for (Index i = 0; i < n[0]; ++i)
      for (Index j = 0; j < n[1]; ++j)
        for (Index k = 0; k < n[2]; ++k, at += n[3])
          run(at, i * step[0][0] + j * step[0][1] + k * step[0][2],
              i * step[1][0] + j * step[1][1] + k * step[1][2]);
  }
};

// The rule by which a tensor is repeated to fit `shape`, the same for all ops: it has as many axes, each of
// the same size or of size 1; or its whole shape is how `shape` ends. Error else. So the result of an op has
// the shape of its first tensor, always, and an axis is only stretched where somebody wrote its 1: [N] beside
// [N, 1], which numpy makes an [N, N], is an error.
struct Beside {
  const char* name;
  const Tensor& tensor;
};
Fit fit(const char* op, const Shape& shape, std::initializer_list<Beside> others);

// ---- The loops
// ---------------------------------------------------------------------------------------------

// F::value(x, c) and F::slope(x, y, c). What a loop does not use, the compiler leaves out; it is told that
// x, y and gradients do not overlap unless they are the same, and vectorises.
template <class F>
void unary_values(const Real* x, Real* y, Index n, double c) {
#pragma omp simd
  for (Index i = 0; i < n; ++i) y[i] = F::value(x[i], c);
}

template <class F>
Tensor unary(const char* op, const Tensor& x, double c) {
  Tensor y = Tape::current().output(op, x.shape, {x});
  const Index n = x.size();
  unary_values<F>(x.data, y.data, n, c);
  return Tape::current().record_in_place(y, x, [=](const Real* dy, Real* dx, bool adds) {
    const Real *in = x.data, *out = y.data;
    if (adds) {
#pragma omp simd
      for (Index i = 0; i < n; ++i) dx[i] += F::slope(in[i], out[i], c) * dy[i];
    } else {
#pragma omp simd
      for (Index i = 0; i < n; ++i) dx[i] = F::slope(in[i], out[i], c) * dy[i];
    }
  });
}

// The loops of which a fused feed-forward is made.
template <class F>
Activation activation_of(const char* name, Tensor (*op)(const Tensor&)) {
  return {name, op, [](const Real* x, Real* y, Index n) { unary_values<F>(x, y, n, 0); },
          [](const Real* x, Real* y, Real* dy, Index n) {
#pragma omp simd
            for (Index i = 0; i < n; ++i) {
              const Real in = x[i], out = F::value(in, 0), slope = F::slope(in, out, 0);
              y[i] = out;
              dy[i] *= slope;
            }
          }};
}
bool add_activation(const Activation& activation);

// A slope that is one everywhere: the gradient is handed on as it is, and costs nothing where its memory is.
struct One {
  friend Real operator*(One, Real dy) { return dy; }
};
inline constexpr One one;

// Calls loop(step): whether the second tensor moves along a stretch (1) or not (0), as a constant, so that it
// is asked once and not at each stretch.
template <class Loop>
void with_step(const Fit& places, Loop loop) {
  if (places.step[0][3] == 1)
    loop(std::integral_constant<Index, 1>());
  else
    loop(std::integral_constant<Index, 0>());
}

template <class F>
Tensor binary(const char* op, const Tensor& a, const Tensor& b) {
  constexpr bool hands_on = std::is_same_v<decltype(F::slope_a(0, 0, 0)), One>;
  const Fit places = fit(op, a.shape, {{"b", b}});
  Tensor y = Tape::current().output(op, a.shape, {a, b});
  const Index n = places.n[3], size = y.size();
  const Real *all_a = a.data, *all_b = b.data;
  Real* all_y = y.data;
  with_step(places, [=](auto step) {
    places.each_run([=](Index at, Index from, Index) {
      const Real *of_a = all_a + at, *of_b = all_b + from;
      Real* out = all_y + at;
#pragma omp simd
      for (Index i = 0; i < n; ++i) out[i] = F::value(of_a[i], of_b[i * step]);
    });
  });

  const auto to_b = [=](const Real* all_dy, Real* all_db) {
    with_step(places, [=](auto step) {
      places.each_run([=](Index at, Index from, Index) {
        const Real *dy = all_dy + at, *of_a = all_a + at, *of_b = all_b + from, *out = all_y + at;
        Real* db = all_db + from;
        if constexpr (step == 1) {
#pragma omp simd
          for (Index i = 0; i < n; ++i) db[i] += F::slope_b(of_a[i], of_b[i], out[i]) * dy[i];
        } else {
          double total = 0;  // double: a float32 sum of many terms would lose digits
          EF_REDUCE(total)
          for (Index i = 0; i < n; ++i)
            total += static_cast<double>(F::slope_b(of_a[i], *of_b, out[i]) * dy[i]);
          *db += Real(total);
        }
      });
    });
  };
  const auto to_a = [=](const Real* all_dy, Real* all_da) {
    if constexpr (hands_on) {
#pragma omp simd
      for (Index i = 0; i < size; ++i) all_da[i] += all_dy[i];
      return;
    }
    with_step(places, [=](auto step) {
      places.each_run([=](Index at, Index from, Index) {
        const Real *dy = all_dy + at, *of_a = all_a + at, *of_b = all_b + from, *out = all_y + at;
        Real* da = all_da + at;
#pragma omp simd
        for (Index i = 0; i < n; ++i) da[i] += F::slope_a(of_a[i], of_b[i * step], out[i]) * dy[i];
      });
    });
  };
  if constexpr (hands_on) {
    // First the gradient of b: that of a may take the place of dy. (Where a and b are one tensor, dy is its
    // share as a already, and its share as b is added to that.)
    return Tape::current().record_in_place(y, a, [=](const Real* dy, Real* da, bool adds) {
      if (b.grad) to_b(dy, b.grad);
      if (da && adds) to_a(dy, da);
    });
  } else {
    return Tape::current().record(y, [=] {
      if (b.grad) to_b(y.grad, b.grad);
      if (a.grad) to_a(y.grad, a.grad);
    });
  }
}

// A mask of ones and zeros; nothing passes back through it.
template <class F>
Tensor mask(const char* op, const Tensor& x, double c) {
  Tensor y = Tape::current().output(op, x.shape, {});
  unary_values<F>(x.data, y.data, x.size(), c);
  return Tape::current().record(y, [] {});
}

}  // namespace ef

// ---- The lines
// ---------------------------------------------------------------------------------------------

#define EF_FUNCTION(op, value_of_x, slope_at_x)                                                      \
  namespace {                                                                                        \
  struct op##_function {                                                                             \
    static Real value(Real x, [[maybe_unused]] double c) { return value_of_x; }                      \
    static Real slope([[maybe_unused]] Real x, [[maybe_unused]] Real y, [[maybe_unused]] double c) { \
      return slope_at_x;                                                                             \
    }                                                                                                \
  };                                                                                                 \
  }

// Tensor op(const Tensor& x)
#define EF_UNARY(op, value_of_x, slope_at_x, smooth)                           \
  EF_FUNCTION(op, value_of_x, slope_at_x)                                      \
  Tensor op(const Tensor& x) { return ::ef::unary<op##_function>(#op, x, 0); } \
  [[maybe_unused]] static const bool op##_is_listed =                          \
      ::ef::add_place_by_place({#op, ::ef::Smooth::smooth, op});

// The same as an activation of the feed-forward part: --activation NAME picks it. The line may stand in any
// file of models/.
#define EF_ACTIVATION(op, name, value_of_x, slope_at_x, smooth) \
  EF_UNARY(op, value_of_x, slope_at_x, smooth)                  \
  [[maybe_unused]] static const bool op##_is_activation =       \
      ::ef::add_activation(::ef::activation_of<op##_function>(name, op));

// Tensor op(const Tensor& x, double c)
#define EF_UNARY_WITH_CONSTANT(op, value_of_x, slope_at_x, smooth)                                \
  EF_FUNCTION(op##_constant, value_of_x, slope_at_x)                                              \
  Tensor op(const Tensor& x, double c) { return ::ef::unary<op##_constant_function>(#op, x, c); } \
  [[maybe_unused]] static const bool op##_constant_is_listed =                                    \
      ::ef::add_place_by_place({#op, ::ef::Smooth::smooth, nullptr, op});

// Tensor op(const Tensor& x, double c): 1 where the condition holds, else 0
#define EF_MASK(op, condition)                                                                   \
  EF_FUNCTION(op##_constant, Real(condition), 0)                                                 \
  Tensor op(const Tensor& x, double c) { return ::ef::mask<op##_constant_function>(#op, x, c); } \
  [[maybe_unused]] static const bool op##_constant_is_listed =                                   \
      ::ef::add_place_by_place({#op, ::ef::Smooth::except_at_c, nullptr, op});

// Tensor op(const Tensor& a, const Tensor& b)
#define EF_BINARY(op, value_of_a_b, slope_by_a, slope_by_b, smooth)                                  \
  namespace {                                                                                        \
  struct op##_function {                                                                             \
    static Real value(Real a, Real b) { return value_of_a_b; }                                       \
    static auto slope_a([[maybe_unused]] Real a, [[maybe_unused]] Real b, [[maybe_unused]] Real y) { \
      return slope_by_a;                                                                             \
    }                                                                                                \
    static auto slope_b([[maybe_unused]] Real a, [[maybe_unused]] Real b, [[maybe_unused]] Real y) { \
      return slope_by_b;                                                                             \
    }                                                                                                \
  };                                                                                                 \
  }                                                                                                  \
  Tensor op(const Tensor& a, const Tensor& b) { return ::ef::binary<op##_function>(#op, a, b); }     \
  [[maybe_unused]] static const bool op##_is_listed =                                                \
      ::ef::add_place_by_place({#op, ::ef::Smooth::smooth, nullptr, nullptr, op});
