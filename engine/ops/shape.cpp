// Reshape, transpose, and reductions along an axis.
#include "engine/error.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {
namespace {

void check_axis(const char* op, const Tensor& x, int axis) {
  if (axis < 0 || axis >= x.shape.rank) {
    fail(std::string(op) + ": axis", std::to_string(axis), "0 to " + std::to_string(x.shape.rank - 1));
  }
}

// A tensor seen as [outer, axis, inner].
struct Split {
  Index outer = 1, n, inner = 1;
  Split(const Shape& shape, int axis) : n(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank; ++i) inner *= shape[i];
  }
};

// y = factor * sum along the axis;  dx = factor dy for every element of the sum.
Tensor reduce(const char* op, const Tensor& x, int axis, Real factor) {
  const Split s(x.shape, axis);
  Shape shape;
  for (int i = 0; i < x.shape.rank; ++i) {
    if (i != axis) shape.dims[static_cast<std::size_t>(shape.rank++)] = x.shape[i];
  }
  if (shape.rank == 0) shape = {1};
  Tensor y = Tape::current().output(op, shape, {x});
  for (Index o = 0; o < s.outer; ++o) {
    for (Index i = 0; i < s.inner; ++i) {
      double total = 0;  // double: a float32 sum of many terms would lose digits
      for (Index k = 0; k < s.n; ++k) total += static_cast<double>(x.data[(o * s.n + k) * s.inner + i]);
      y.data[o * s.inner + i] = Real(total) * factor;
    }
  }
  return Tape::current().record(y, [=] {
    for (Index o = 0; o < s.outer; ++o) {
      for (Index k = 0; k < s.n; ++k) {
        Real* dx = x.grad + (o * s.n + k) * s.inner;
        for (Index i = 0; i < s.inner; ++i) dx[i] += factor * y.grad[o * s.inner + i];
      }
    }
  });
}

Tensor flat(const Tensor& x) { return reshape(x, {x.size()}); }

Real inverse_size(const char* op, Index n) {
  if (n == 0) fail(std::string(op) + ": an empty axis", "0 elements", "at least 1");
  return 1 / Real(n);
}

}  // namespace

// The result shares data and gradient with x, so it needs no backward of its own: what later ops add to its
// gradient is already added to that of x.
Tensor reshape(const Tensor& x, const Shape& shape) {
  check_shape(shape.size() == x.size(), "reshape", "x", x.shape, "as many elements as ", shape);
  Tensor y = x;
  y.shape = shape;
  return y;
}

// y[.., j, .., i, ..] = x[.., i, .., j, ..]; the gradient goes back the same way.
Tensor transpose(const Tensor& x, int axis_a, int axis_b) {
  check_axis("transpose", x, axis_a);
  check_axis("transpose", x, axis_b);
  const int first = axis_a < axis_b ? axis_a : axis_b, second = axis_a < axis_b ? axis_b : axis_a;
  Shape shape = x.shape;
  shape[first] = x.shape[second];
  shape[second] = x.shape[first];
  Tensor y = Tape::current().output("transpose", shape, {x});

  // Both tensors as [outer, n1, middle, n2, inner], visited in the order of y.
  Index outer = 1, middle = 1, inner = 1;
  for (int i = 0; i < first; ++i) outer *= x.shape[i];
  for (int i = first + 1; i < second; ++i) middle *= x.shape[i];
  for (int i = second + 1; i < x.shape.rank; ++i) inner *= x.shape[i];
  const Index n1 = x.shape[first], n2 = first == second ? 1 : x.shape[second];
  const auto each = [=](auto visit) {
    Index to = 0;
    for (Index o = 0; o < outer; ++o)
      for (Index j = 0; j < n2; ++j)
        for (Index m = 0; m < middle; ++m)
          for (Index i = 0; i < n1; ++i, to += inner)
            visit(to, (((o * n1 + i) * middle + m) * n2 + j) * inner);
  };
  each([&](Index to, Index from) {
    for (Index c = 0; c < inner; ++c) y.data[to + c] = x.data[from + c];
  });
  return Tape::current().record(y, [=] {
    each([&](Index to, Index from) {
      for (Index c = 0; c < inner; ++c) x.grad[from + c] += y.grad[to + c];
    });
  });
}

Tensor sum(const Tensor& x) { return reduce("sum", flat(x), 0, 1); }

Tensor sum(const Tensor& x, int axis) {
  check_axis("sum", x, axis);
  return reduce("sum", x, axis, 1);
}

Tensor mean(const Tensor& x) { return reduce("mean", flat(x), 0, inverse_size("mean", x.size())); }

Tensor mean(const Tensor& x, int axis) {
  check_axis("mean", x, axis);
  return reduce("mean", x, axis, inverse_size("mean", x.shape[axis]));
}

}  // namespace ef
