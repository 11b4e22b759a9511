#include "engine/trace.h"

#include <algorithm>
#include <chrono>

namespace ef {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// "a.b.c" -> "a.b"; "" of one name alone.
std::string above(const std::string& path) {
  const std::size_t point = path.rfind('.');
  return point == std::string::npos ? "" : path.substr(0, point);
}

bool is_within(const std::string& path, const std::string& part) {
  return part.empty() || path == part || path.starts_with(part + ".");
}

}  // namespace

std::string common_layer(const std::vector<std::string>& parameters) {
  std::string layer = parameters.empty() ? "" : above(parameters.front());
  for (const std::string& path : parameters)
    while (!is_within(path, layer)) layer = above(layer);
  return layer;
}

void Trace::clear() {
  ops_.clear();
  next_pass();
  pass_ = 0;
}

void Trace::next_pass() {
  if (!ops_.empty()) pass_ = ops_.back().pass + 1;
  open_.clear();
  maker_.clear();
  of_node_.clear();
}

void Trace::begin(const Tensor& y, std::span<const Tensor> inputs, const char* part,
                  std::size_t bytes_before) {
  Op op;
  op.pass = pass_;
  op.name = y.name;
  op.shape = y.shape;
  std::vector<std::string> parameters;
  Index numbers = y.size();
  for (const Tensor& x : inputs) {
    if (!x) continue;  // an optional one that is not there, as a bias
    numbers += x.size();
    Input input{x.shape, x.name, -1, x.is_parameter};
    if (x.is_parameter) parameters.emplace_back(x.name);
    if (const auto made = maker_.find(x.data); made != maker_.end()) input.made_by = made->second;
    op.inputs.push_back(std::move(input));
  }
  const std::string layer = common_layer(parameters);
  op.layer = !layer.empty() && is_within(layer, part) ? layer : part;
  op.bytes_moved = static_cast<double>(numbers) * sizeof(Real);
  open_.push_back({ops_.size(), y.data, now(), flops(), bytes_before});
  ops_.push_back(std::move(op));
}

void Trace::end(const Tensor& y, std::size_t bytes_after, bool has_backward) {
  const auto found =
      std::find_if(open_.rbegin(), open_.rend(), [&](const Open& open) { return open.data == y.data; });
  if (found == open_.rend()) return;  // begun before the trace was
  Op& op = ops_[found->op];
  op.forward_seconds = now() - found->seconds;
  op.forward_flops = flops() - found->flops;
  op.bytes_held = bytes_after - found->bytes;
  op.has_backward = has_backward;
  maker_[y.data] = static_cast<Index>(found->op);
  if (has_backward) of_node_.push_back(found->op);
  open_.erase(std::next(found).base());
}

void Trace::ran(std::size_t node, double seconds, double flops) {
  if (node >= of_node_.size()) return;
  Op& op = ops_[of_node_[node]];
  op.backward_seconds += seconds;
  op.backward_flops += flops;
}

}  // namespace ef
