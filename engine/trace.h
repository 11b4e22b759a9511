// What a tape did, op by op, with the time and the memory that each took: a step seen from inside.
//
//   Trace trace(blas::flops_of_this_thread);
//   tape.trace = &trace;      // from now on; nullptr ends it
//   ... a forward and a backward ...
//   for (const Trace::Op& op : trace.ops()) ...
//
// Numbers are not changed by it. Each op takes some microseconds more.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace ef {

class Trace {
 public:
  // What counts the floating-point operations of this thread's matrix products, as
  // blas::flops_of_this_thread does; without it they are not known, and 0.
  explicit Trace(double (*flops_so_far)() = nullptr) : flops_so_far_(flops_so_far) {}

  struct Input {
    Shape shape;
    std::string name;    // of a parameter its path; else the op that made it, or "" if none did
    Index made_by = -1;  // which of ops() that was; -1: none of them
    bool is_parameter = false;
  };
  struct Op {
    Index pass = 0;     // in which forward and backward, counted from clear()
    std::string name;   // "linear"
    std::string layer;  // "blocks.0.attn.q": the part of the model that computed it (Tape::Part), or, if it
                        // is more exact, where its parameters stand
    std::vector<Input> inputs;
    Shape shape;                                       // of what it made
    bool has_backward = false;                         // whether one was recorded
    double forward_seconds = 0, backward_seconds = 0;  // 0 where it did not run
    double forward_flops = 0, backward_flops = 0;      // of its matrix products
    double bytes_moved = 0;                            // of inputs and output, once: of the forward
    std::size_t bytes_held = 0;                        // on the tape until it is reset
  };
  const std::vector<Op>& ops() const { return ops_; }
  // Forgets them, between two passes.
  void clear();

 private:
  friend class Tape;
  struct Open {
    std::size_t op;
    const Real* data;
    double seconds, flops;
    std::size_t bytes;
  };
  void begin(const Tensor& y, std::span<const Tensor> inputs, const char* part, std::size_t bytes_before);
  void end(const Tensor& y, std::size_t bytes_after, bool has_backward);
  void ran(std::size_t node, double seconds, double flops);
  double flops() const { return flops_so_far_ ? flops_so_far_() : 0; }
  void next_pass();  // the tape is reset: its memory will hold other tensors

  double (*flops_so_far_)();
  std::vector<Op> ops_;
  Index pass_ = 0;
  std::vector<Open> open_;              // begun and not ended
  std::map<const Real*, Index> maker_;  // by where a tensor's numbers are
  std::vector<std::size_t> of_node_;    // which op each node of the tape is
};

// What they share as paths: "blocks.0.mlp" of "blocks.0.mlp.up.weight" and "blocks.0.mlp.down.weight"; of one
// parameter its layer, "blocks.0.attn.q".
std::string common_layer(const std::vector<std::string>& parameters);

}  // namespace ef
