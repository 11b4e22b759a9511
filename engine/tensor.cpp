#include "engine/tensor.h"

#include "engine/error.h"
#include "engine/tape.h"

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

namespace {

// What came before: of two layers that do not fit, the message shows both.
std::string hint() {
  const std::string last = Tape::last_ops();
  return last.empty() ? "" : "the last ops: " + last;
}

}  // namespace

void wrong_shape(const char* op, const char* name, const Shape& got, const std::string& expected) {
  fail(std::string(op) + ": shape of " + name, got.str(), expected, hint());
}

void wrong_shape(const char* op, const char* name, const Tensor& got, const std::string& expected) {
  fail(std::string(op) + ": shape of " + described(name, got), got.shape.str(), expected, hint());
}

std::string described(const char* name, const Tensor& tensor) {
  if (!*tensor.name) return name;
  return std::string(name) + (tensor.is_parameter ? " (" : " (of ") + tensor.name + ")";
}

}  // namespace ef
