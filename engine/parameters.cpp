#include "engine/parameters.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "engine/error.h"
#include "engine/nearest.h"
#include "engine/random.h"
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace ef {
namespace {

constexpr Index most_numbers = Index{1} << 57;  // of these, even the bytes can be counted

Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

// FNV-1a, to give each path a stream of random numbers of its own.
std::uint64_t hash(const std::string& text) {
  std::uint64_t h = 0xCBF29CE484222325;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return h ^ (h >> 32);
}

double draw(const Init& init, const Random& random, Index i) {
  const auto index = static_cast<std::uint64_t>(i);
  switch (init.law) {
    case Init::Law::zeros:
      return 0;
    case Init::Law::ones:
      return 1;
    case Init::Law::normal:
      return init.scale * random.normal(index);
    case Init::Law::uniform:
      return init.scale * (2 * random.uniform(index) - 1);
  }
  return 0;
}

}  // namespace

Buffer::Buffer(Index size) : data_(nullptr, std::free), size_(size) {
  if (size == 0) return;
  const Index page = Index{2} << 20;
  const auto bytes = static_cast<std::size_t>(round_up(size * Index{sizeof(Real)}, size >= page ? page : 64));
  data_.reset(
      static_cast<Real*>(std::aligned_alloc(size >= page ? static_cast<std::size_t>(page) : 64, bytes)));
  if (!data_) throw std::bad_alloc();
#ifdef __linux__
  if (size >= page) madvise(data_.get(), bytes, MADV_HUGEPAGE);  // a wish; refusing it costs speed only
#endif
  zero();
}

void Buffer::zero() { std::fill_n(data_.get(), size_, Real(0)); }

Index Parameters::count() const {
  Index n = 0;
  for (const Parameter& parameter : list_) n += parameter.trained ? parameter.shape.size() : 0;
  return n;
}

void Parameters::allocate() { values_ = Buffer(flat_); }

void Parameters::initialise(std::uint64_t seed) {
  for (const Parameter& parameter : list_) {
    const Random random{seed, stream_of(Purpose::initialise, hash(parameter.path)), 0};
    Real* value = values_.data() + parameter.offset;
    for (Index i = 0; i < parameter.shape.size(); ++i) value[i] = Real(draw(parameter.init, random, i));
    if (parameter.init.zero_row >= 0 && parameter.init.zero_row < parameter.shape.rows()) {
      std::fill_n(value + parameter.init.zero_row * parameter.shape.last(), parameter.shape.last(), Real(0));
    }
  }
}

const Parameter& Parameters::find(const std::string& path) const {
  const auto found = places_.find(path);
  if (found != places_.end()) return list_[found->second];
  std::vector<std::string> paths;
  for (const Parameter& parameter : list_) paths.push_back(parameter.path);
  fail("no parameter " + path, "", "", suggestion(path, paths));
}

Tensor Parameters::at(const std::string& path, Real* gradients) {
  const Parameter& p = find(path);
  return {p.shape, values_.data() ? values_.data() + p.offset : nullptr,
          gradients && p.trained ? gradients + p.offset : nullptr, p.path.c_str(), true};
}

Builder Builder::operator/(const std::string& name) const {
  Builder below = *this;
  below.path_ = path_.empty() ? name : path_ + "." + name;
  return below;
}

Tensor Builder::parameter(const std::string& name, const Shape& shape, const Init& init) const {
  return declare(name, shape, init, true, Parameter::Kind::weight);
}

Tensor Builder::parameter_of(Parameter::Kind kind, const std::string& name, const Shape& shape,
                             const Init& init) const {
  return declare(name, shape, init, true, kind);
}

Tensor Builder::state(const std::string& name, const Shape& shape, const Init& init) const {
  return declare(name, shape, init, false, Parameter::Kind::weight);
}

Tensor Builder::declare(const std::string& name, const Shape& shape, const Init& init, bool trained,
                        Parameter::Kind kind) const {
  const std::string path = (*this / name).path_;
  if (!parameters_->values_.data()) {  // the first building: write down
    if (!parameters_->places_.emplace(path, parameters_->list_.size()).second)
      fail("parameter " + path, "a second declaration", "one");
    parameters_->list_.push_back({path, shape, parameters_->flat_, init, trained, kind});
    Index size = 1;
    for (int axis = 0; axis < shape.rank; ++axis)
      if (__builtin_mul_overflow(size, shape[axis], &size) || size > most_numbers)
        fail("parameter " + path, "the shape " + shape.str(), "numbers that a memory can hold");
    parameters_->flat_ += round_up(size, 16);
    if (parameters_->flat_ > most_numbers)
      fail("parameters up to " + path, std::to_string(parameters_->flat_) + " numbers",
           "what a memory can hold");
    Tensor promised;
    promised.shape = shape;
    return promised;
  }
  const Tensor parameter = parameters_->at(path, gradients_);
  check_shape(parameter.shape == shape, "parameter", path.c_str(), shape, parameter.shape);
  return parameter;
}

}  // namespace ef
