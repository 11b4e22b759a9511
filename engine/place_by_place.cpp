#include "engine/place_by_place.h"

namespace ef {
namespace {

// Made at its first use: the lines that add to it stand in several files, whose order is not known.
std::vector<PlaceByPlace>& list() {
  static std::vector<PlaceByPlace> ops;
  return ops;
}

bool fits(const Shape& small, const Shape& shape) {
  const int missing = shape.rank - small.rank;
  if (small.rank == 0 || missing < 0) return false;
  for (int axis = 0; axis < small.rank; ++axis) {
    const bool stretched = missing == 0 && small[axis] == 1;
    if (small[axis] != shape[axis + missing] && !stretched) return false;
  }
  return true;
}

}  // namespace

const std::vector<PlaceByPlace>& place_by_place_ops() { return list(); }

bool add_place_by_place(const PlaceByPlace& op) {
  list().push_back(op);
  return true;
}

Fit fit(const char* op, const Shape& shape, std::initializer_list<Beside> others) {
  for (const auto& [name, tensor] : others) {
    check_shape(fits(tensor.shape, shape), op, name, tensor, "the last axes of ", shape,
                ", or as many axes, some of them of size 1");
  }
  // From the last axis to the first; `to` is the axis of the Fit that grows.
  Fit result;
  int to = 4;
  std::array<Index, 2> sizes{1, 1};  // of the others, without the axes still to come
  std::array<bool, 2> repeated{}, before{};
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    if (shape[axis] == 1) continue;
    std::size_t i = 0;
    for (const auto& [name, tensor] : others) {
      const int own = axis - (shape.rank - tensor.shape.rank);
      repeated[i++] = own < 0 || tensor.shape[own] != shape[axis];
    }
    if (to == 4 || repeated != before) {
      --to;
      for (i = 0; i < 2; ++i) result.step[i][to] = repeated[i] ? 0 : sizes[i];
    }
    result.n[to] *= shape[axis];
    for (i = 0; i < 2; ++i) sizes[i] *= repeated[i] ? 1 : shape[axis];
    before = repeated;
  }
  if (to == 4) result.step[0][3] = result.step[1][3] = 1;  // one place: not repeated, as nothing is
  return result;
}

}  // namespace ef
