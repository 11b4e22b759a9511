#include "engine/tape.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "engine/error.h"
#include "engine/ops.h"
#include "engine/trace.h"

namespace ef {

thread_local Tape* Tape::current_ = nullptr;

Tape& Tape::current() {
  if (!current_) fail("op called outside of a tape", "", "a Tape::Scope on this thread");
  return *current_;
}

Tensor Tape::output(const char* op, const Shape& shape, std::span<const Tensor> inputs) {
  bool wants_gradient = false;
  const char* parameter = "";
  for (const Tensor& input : inputs) {
    wants_gradient = wants_gradient || input.grad;
    if (input.is_parameter) parameter = last_parameter_ = input.name;
  }
  last_ops_[ops_++ % last_ops_.size()] = {op, parameter, part_, shape};
  Tensor y;
  y.shape = shape;
  y.name = op;
  const std::size_t before = activations_.bytes_in_use();
  y.data = activations_.allocate<Real>(shape.size());
  if (trace) trace->begin(y, inputs, part_, before);
  if (!recording || !wants_gradient) return y;
  y.grad = Gradient(new (activations_.allocate<Gradient::Slot>(1)) Gradient::Slot{nullptr, shape.size()});
  for (const Tensor& input : inputs) {
    if (input.grad.slot()) inputs_.push_back(input.grad);
  }
  return y;
}

void Tape::backward(const Tensor& loss) {
  check_shape(loss.size() == 1, "backward", "loss", loss, "[1]");
  const Real one = 1;
  backward(loss, {&one, 1});
}

void Tape::backward(const Tensor& y, std::span<const Real> seed) {
  if (!y.grad)
    fail("backward", "a tensor without a gradient", "one computed on a recording tape from a parameter");
  if (static_cast<Index>(seed.size()) != y.size()) {
    fail("backward: seed", std::to_string(seed.size()) + " numbers", std::to_string(y.size()));
  }
  const Scope scope(*this);  // scratch memory of a backward is this tape's
  open(y.grad);
  // Added, as y may share its gradient with a parameter (reshape).
  Real* dy = y.grad;
  for (std::size_t i = 0; i < seed.size(); ++i) dy[i] += seed[i];
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    if (!node->output.slot()->data) continue;  // y was not computed from this
    Gradient::Slot* heir = node->takes_over.slot();
    if (heir && heir->data) heir = nullptr;
    if (heir) heir->data = node->output;
    for (std::size_t i = node->first_input; i < node->last_input; ++i) open(inputs_[i]);
    run(static_cast<std::size_t>(nodes_.rend() - node) - 1, !heir);
    if (heir)
      node->output.slot()->data = nullptr;
    else
      close(node->output);
  }
}

void Tape::run(std::size_t index, bool adds) {
  const Node& node = nodes_[index];
  if (!trace) return node.run(node.backward, adds);
  const auto start = std::chrono::steady_clock::now();
  const double flops = trace->flops();
  node.run(node.backward, adds);
  trace->ran(index, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
             trace->flops() - flops);
}

void Tape::write_down(const Tensor& y) {
  trace->end(y, activations_.bytes_in_use(), static_cast<bool>(y.grad));
}

void Tape::open(const Gradient& gradient) {
  Gradient::Slot* slot = gradient.slot();
  if (!slot || slot->data) return;
  // The memory that was given back last is the likeliest to be in cache. Under guard each has its own.
  const auto same_size = [&](const Gradient::Slot& other) { return other.size == slot->size; };
  const auto found = std::find_if(free_.rbegin(), free_.rend(), same_size);
  if (found != free_.rend() && !gradients_.guarded()) {
    slot->data = found->data;
    free_.erase(std::next(found).base());
  } else {
    slot->data = gradients_.allocate<Real>(slot->size);
  }
  std::fill_n(slot->data, slot->size, Real(0));
}

void Tape::close(const Gradient& gradient) {
  free_.push_back(*gradient.slot());
  gradient.slot()->data = nullptr;
}

void Tape::add_penalty(const Tensor& penalty) {
  check_shape(penalty.shape == Shape{1}, "add_penalty", "penalty", penalty, "[1]");
  if (recording && settings.training) penalties_.push_back(penalty);
}

Tensor Tape::with_penalties(const Tensor& loss) {
  const Scope scope(*this);
  Tensor total = loss;
  for (const Tensor& penalty : penalties_) total = add(total, scale(penalty, Real(settings.share)));
  return total;
}

void Tape::reset() {
  activations_.reset();
  gradients_.reset();
  nodes_.clear();
  inputs_.clear();
  first_input_ = 0;
  free_.clear();
  penalties_.clear();
  stream_ = 0;
  last_parameter_ = "";
  ops_ = 0;
  if (trace) trace->next_pass();
}

std::string Tape::last_ops() {
  std::string text;
  if (!current_) return text;
  const auto& ring = current_->last_ops_;
  const std::size_t known = std::min(current_->ops_, ring.size());
  for (std::size_t back = 1; back <= known; ++back) {
    const Done& done = ring[(current_->ops_ - back) % ring.size()];
    text.append(text.empty() ? "" : ", ").append(done.op).append(" ").append(done.shape.str());
    if (*done.parameter)
      text.append(" (").append(done.parameter).append(")");
    else if (*done.part)
      text.append(" in ").append(done.part);
  }
  return text;
}

void Tape::check_values(const Tensor& y) const {
  for (Index i = 0; i < y.size(); ++i) {
    if (std::isfinite(y.data[i])) continue;
    std::string where =
        std::string("op ") + y.name + ", output " + y.shape.str() + ", element " + std::to_string(i);
    if (*last_parameter_) where += ", the last parameter used is " + std::string(last_parameter_);
    if (ops_ > 0) where += "; the last ops: " + last_ops();
    throw NumericalError((std::isnan(y.data[i]) ? "NaN in " : "infinity in ") + where);
  }
}

}  // namespace ef
