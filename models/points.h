// Probes: looking into a model while it runs, without changing anything.
//
// A point is a place in the forward with a path, such as "blocks.0.attn.pattern". When nobody listens on the
// thread, a point costs the test of one pointer. A Listener that is installed sees the tensor of each point
// that is passed, in the order of the forward, and leaves with its scope. A layer that has no such thing as a
// point of its kind says so, and why.
#pragma once
#include <map>
#include <string>

#include "engine/parameters.h"
#include "engine/tape.h"
#include "engine/tensor.h"

namespace ef {

class Listener {
 public:
  Listener() : before_(current_) { current_ = this; }
  ~Listener() { current_ = before_; }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // What was seen last at each point. The tensors live on the tape until it is reset.
  const std::map<std::string, Tensor>& seen() const { return seen_; }
  // Why a layer has nothing to show at a point.
  const std::map<std::string, std::string>& absent() const { return absent_; }

 private:
  friend class Point;
  static thread_local Listener* current_;
  Listener* before_;
  std::map<std::string, Tensor> seen_;
  std::map<std::string, std::string> absent_;
};

class Point {
 public:
  explicit Point(const Builder& b) : path_(b.path()) {}

  // Shows a tensor, and returns it: x = see_mid(add(x, y)).
  const Tensor& operator()(const Tensor& x) const {
    if (Listener::current_) Listener::current_->seen_[path_] = x;
    return x;
  }

  // Where a fused op shall put what it would not keep otherwise: shown memory on the tape if somebody
  // listens, nullptr if nobody does.
  Real* place(const Shape& shape) const {
    if (!Listener::current_) return nullptr;
    Tensor& x = Listener::current_->seen_[path_];
    x = Tensor{shape, Tape::current().activations().allocate<Real>(shape.size()), nullptr, path_.c_str()};
    return x.data;
  }

  // Says that there is nothing to show, and why: see_logits.none("linear attention forms no logits").
  void none(const char* why) const {
    if (Listener::current_) Listener::current_->absent_[path_] = why;
  }

 private:
  std::string path_;
};

}  // namespace ef
