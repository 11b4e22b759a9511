// What ops along an axis share.
#pragma once
#include "engine/error.h"
#include "engine/tensor.h"

namespace ef {

// A tensor seen as [outer, n, inner], n the size of the axis. Error if there is no such axis.
struct Split {
  Index outer = 1, n = 0, inner = 1;

  Split(const char* op, const Tensor& x, int axis) {
    check_axis(op, x, axis);
    n = x.shape[axis];
    for (int i = 0; i < axis; ++i) outer *= x.shape[i];
    for (int i = axis + 1; i < x.shape.rank; ++i) inner *= x.shape[i];
  }
  // Where element k of a line begins: its neighbours along the inner axes stand behind it.
  Index at(Index o, Index k) const { return (o * n + k) * inner; }

  static void check_axis(const char* op, const Tensor& x, int axis) {
    if (axis >= 0 && axis < x.shape.rank) return;
    fail(std::string(op) + ": axis of " + described("x", x), std::to_string(axis),
         "0 to " + std::to_string(x.shape.rank - 1));
  }
};

// The shape without the axis; [1] where nothing else remains.
inline Shape without_axis(const Shape& shape, int axis) {
  Shape rest;
  for (int i = 0; i < shape.rank; ++i) {
    if (i != axis) rest.dims[rest.rank++] = shape[i];
  }
  return rest.rank > 0 ? rest : Shape{1};
}

}  // namespace ef
