// A tensor is a small handle: a shape, its numbers, and the gradient of the loss with respect to them.
#pragma once
#include <array>
#include <initializer_list>
#include <string>

#include "engine/real.h"

namespace ef {

// The sizes of a tensor, outermost first; rows are contiguous. A scalar is [1].
struct Shape {
  static constexpr int max_rank = 4;
  std::array<Index, max_rank> dims{};
  int rank = 0;

  Shape() = default;
  Shape(std::initializer_list<Index> sizes);  // Error if more than max_rank sizes, or one is negative

  Index operator[](int axis) const { return dims[axis]; }
  Index& operator[](int axis) { return dims[axis]; }
  Index size() const {  // the product of the dims; 0 for a default-constructed Shape
    Index n = rank > 0 ? 1 : 0;
    for (int axis = 0; axis < rank; ++axis) n *= (*this)[axis];
    return n;
  }
  Index last() const { return rank ? (*this)[rank - 1] : 0; }
  Index rows() const { return last() == 0 ? 0 : size() / last(); }  // all axes but the last, flattened
  Index leading() const {  // the same, but where the last axis is empty there are rows of nothing
    Index n = rank > 0 ? 1 : 0;
    for (int axis = 0; axis + 1 < rank; ++axis) n *= (*this)[axis];
    return n;
  }
  std::string str() const;  // "[4, 64, 128]"
  bool operator==(const Shape& other) const = default;
};

// Where the gradient of a tensor is: as good as a Real*. That of a weight stays where its owner put it. That
// of an activation has memory only while the backward pass needs it (see Tape::backward): between the first
// op that adds to it and the op that made the tensor.
class Gradient {
 public:
  struct Slot {
    Real* data = nullptr;
    Index size = 0;
  };
  Gradient(Real* where = nullptr) : where_(where) {}
  explicit Gradient(Slot* slot) : slot_(slot) {}
  operator Real*() const { return slot_ ? slot_->data : where_; }
  explicit operator bool() const { return slot_ || where_; }  // whether a gradient is wanted
  Slot* slot() const { return slot_; }                        // nullptr for that of a weight

 private:
  Real* where_ = nullptr;
  Slot* slot_ = nullptr;
};

// Copies of a Tensor share numbers and gradient. The memory belongs to a Tape (activations) or to
// Parameters (weights); a Tensor owns nothing.
struct Tensor {
  Shape shape;
  Real* data = nullptr;
  Gradient grad = {};     // same shape as data; false where no gradient is wanted
  const char* name = "";  // a parameter's path, or the op that made it
  bool is_parameter = false;

  Index size() const { return shape.size(); }
  explicit operator bool() const { return data != nullptr; }
};

// Throws Error "OP: shape of NAME: got GOT, expected EXPECTED". NAME is what the op calls the tensor; behind
// it stands what the tensor is: a parameter's path, or the op that made it.
[[noreturn]] void wrong_shape(const char* op, const char* name, const Shape& got,
                              const std::string& expected);
[[noreturn]] void wrong_shape(const char* op, const char* name, const Tensor& got,
                              const std::string& expected);
std::string described(const char* name, const Tensor& tensor);  // "w (blocks.0.attn.q.weight)"

inline std::string text_of(const Shape& shape) { return shape.str(); }
inline std::string text_of(Index number) { return std::to_string(number); }
inline std::string text_of(const std::string& text) { return text; }

// The same unless the condition holds. EXPECTED is made of shapes, numbers and texts, and only then: a check
// that holds allocates nothing.
template <class Got, class... Parts>
void check_shape(bool condition, const char* op, const char* name, const Got& got, const Parts&... expected) {
  if (!condition) wrong_shape(op, name, got, (text_of(expected) + ...));
}

}  // namespace ef
