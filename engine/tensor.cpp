#include "engine/tensor.h"

#include "engine/error.h"

namespace ef {

Shape::Shape(std::initializer_list<Index> sizes) {
  if (sizes.size() > max_rank) fail("shape", std::to_string(sizes.size()) + " axes", "at most 4");
  for (Index n : sizes) {
    if (n < 0) fail("shape", std::to_string(n) + " as a size", "a size of at least 0");
    dims[rank++] = n;
  }
}

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank; ++axis) text += (axis ? ", " : "") + std::to_string((*this)[axis]);
  return text + "]";
}

void wrong_shape(const char* op, const char* name, const Shape& got, const std::string& expected) {
  fail(std::string(op) + ": shape of " + name, got.str(), expected);
}

void wrong_shape(const char* op, const char* name, const Tensor& got, const std::string& expected) {
  fail(std::string(op) + ": shape of " + described(name, got), got.shape.str(), expected);
}

std::string described(const char* name, const Tensor& tensor) {
  if (!*tensor.name) return name;
  return std::string(name) + (tensor.is_parameter ? " (" : " (of ") + tensor.name + ")";
}

}  // namespace ef
