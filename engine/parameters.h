// The weights of a model: named by path, in one flat buffer.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/tensor.h"

namespace ef {

// How a parameter starts.
struct Init {
  enum class Law { zeros, ones, normal, uniform } law = Law::zeros;
  double scale = 0;     // standard deviation, or half the width of the uniform interval
  Index zero_row = -1;  // this row of a matrix starts as zeros (fairseq's padding token)

  static Init zeros() { return {}; }
  static Init ones() { return {Law::ones}; }
  static Init normal(double deviation) { return {Law::normal, deviation}; }
  static Init uniform(double bound) { return {Law::uniform, bound}; }  // in [-bound, bound]
};

// Numbers that own their memory: 64-byte aligned, on huge pages where the system has them, zero at first.
class Buffer {
 public:
  explicit Buffer(Index size = 0);
  Real* data() { return data_.get(); }
  const Real* data() const { return data_.get(); }
  Index size() const { return size_; }
  void zero();

 private:
  std::unique_ptr<Real, void (*)(void*)> data_;
  Index size_;
};

struct Parameter {
  // What optimisers may tell apart, beside its shape. A table that is the head, too, is an embedding.
  enum class Kind { weight, embedding, head };

  std::string path;  // "blocks.0.attn.q.weight"
  Shape shape;
  Index offset = 0;  // where it begins in the flat buffer; a multiple of 16, so that rows are aligned
  Init init;
  bool trained = true;  // false: state that is saved with the weights, but gets no gradient and no update
  Kind kind = Kind::weight;
};

// The list of parameters and their values. A model is built first on an empty Parameters, which writes down
// what the model declares; then allocate(); then once more for every worker, to bind its tensors to the
// values and to that worker's gradients. Building twice from the same configuration declares the same list.
class Parameters {
 public:
  const std::vector<Parameter>& list() const { return list_; }
  Index count() const;  // how many trained numbers, without padding
  Index flat_size() const {
    return flat_;
  }  // length of the flat buffer, and of gradients and moments like it

  void allocate();
  // Draws all values: a function of the seed and each path, not of the order.
  void initialise(std::uint64_t seed);

  Real* values() { return values_.data(); }
  const Real* values() const { return values_.data(); }
  // The parameter of that path, its gradient at the same offset of `gradients` (may be nullptr). Error with
  // the nearest path if there is none.
  Tensor at(const std::string& path, Real* gradients = nullptr);

 private:
  friend class Builder;
  const Parameter& find(const std::string& path) const;
  std::vector<Parameter> list_;
  std::unordered_map<std::string, std::size_t> places_;  // in the list, by path
  Index flat_ = 0;
  Buffer values_;
};

// What a layer's constructor gets: declares parameters below a path.
//   Linear(Builder b) : weight(b.parameter("weight", {out, in}, Init::normal(0.02))) {}
//   Attention(Builder b) : q(b / "q"), k(b / "k") {}
class Builder {
 public:
  Builder(Parameters& parameters, Real* gradients) : parameters_(&parameters), gradients_(gradients) {}
  Builder operator/(const std::string& name) const;
  Builder operator/(Index number) const { return *this / std::to_string(number); }
  const std::string& path() const { return path_; }
  Tensor parameter(const std::string& name, const Shape& shape, const Init& init) const;
  // The same of a kind that optimisers may treat differently.
  Tensor parameter_of(Parameter::Kind kind, const std::string& name, const Shape& shape,
                      const Init& init) const;
  // The same without a gradient: state that belongs to a checkpoint and that no optimiser touches.
  Tensor state(const std::string& name, const Shape& shape, const Init& init) const;

 private:
  Tensor declare(const std::string& name, const Shape& shape, const Init& init, bool trained,
                 Parameter::Kind kind) const;
  Parameters* parameters_;
  Real* gradients_;
  std::string path_;
};

}  // namespace ef
