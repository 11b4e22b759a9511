// The tape: remembers what was computed, so that gradients can be computed in reverse.
//
// Ops run in an order in which each needs only what came before, so the order of recording is already a
// topological order of the graph, and the backward pass is a loop over the tape in reverse.
#pragma once
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/arena.h"
#include "engine/random.h"
#include "engine/tensor.h"

namespace ef {

// A worker thread owns one tape and computes on it inside a Tape::Scope. All tensors that ops return live on
// it and die at reset().
class Tape {
 public:
  Tape() = default;
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // Makes this tape the one that ops of this thread use, until the scope ends.
  class Scope {
   public:
    explicit Scope(Tape& tape) : before_(current_) { current_ = &tape; }
    ~Scope() { current_ = before_; }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Tape* before_;
  };
  static Tape& current();  // Error outside of any Scope

  // Settings of a forward pass.
  bool recording = true;      // false: no gradients, no backward (validation, sampling)
  bool training = true;       // false: dropout passes its input through
  bool check_finite = false;  // true: throw NumericalError at the first op that yields NaN or infinity
  Random random;              // seed and step of the numbers that dropout draws
  Index first_sequence = 0;   // where this worker's first sequence stands in the whole batch
  double share = 1;           // the part of the whole batch's sequences that this forward holds

  // A number that differs for every call since reset(), in the order of the calls: the stream of a dropout.
  std::uint64_t next_stream() { return stream_++; }

  // The tensor that an op is about to compute from these inputs; data not initialised. It gets a gradient if
  // the tape is recording and an input has one.
  Tensor output(const char* op, const Shape& shape, std::initializer_list<Tensor> inputs);

  // Ends an op: puts its backward on the tape, if y has a gradient. backward() reads y.grad and ADDS to the
  // gradients of the inputs. It captures by value what it needs (the captures are what is saved).
  template <class Backward>
  Tensor record(const Tensor& y, Backward backward) {
    static_assert(std::is_trivially_destructible_v<Backward>, "capture tensors, pointers and numbers only");
    if (check_finite) check_values(y);
    if (!y.grad) return y;
    void* place = activations_.allocate<Backward>(1);
    nodes_.push_back({y, [](void* f) { (*static_cast<Backward*>(f))(); }, new (place) Backward(backward)});
    return y;
  }

  // Sets the gradients of all tensors on the tape to zero, d(loss)/d(loss) to one, and runs the tape in
  // reverse. Gradients of parameters are added to: whoever owns them zeroes them. loss: [1], from this tape.
  void backward(const Tensor& loss);

  // The same from any tensor of this tape, whose gradient is given: adds (dy/dx)^T seed to every x.grad.
  void backward(const Tensor& y, std::span<const Real> seed);

  // Terms that a layer adds to the loss from within its forward: [1], each a mean over the sequences of this
  // forward. They are kept until reset(), and only while recording and training.
  void add_penalty(const Tensor& penalty);

  // loss + share * (sum of the penalties), [1]; the loss itself if there are none. The shares of all forwards
  // of a batch add up to 1, so that however it is divided among workers and micro-batches, the penalties of
  // the parts add up to the mean over the whole batch.
  Tensor with_penalties(const Tensor& loss);

  // Forgets everything recorded and gives back the memory of all activations.
  void reset();

  Arena& activations() { return activations_; }  // also the place for an op's scratch space
  Arena& gradients() { return gradients_; }
  const Arena& activations() const { return activations_; }
  const Arena& gradients() const { return gradients_; }
  std::size_t nodes() const { return nodes_.size(); }

 private:
  struct Node {
    Tensor output;
    void (*run)(void*);
    void* backward;
  };
  void check_values(const Tensor& y) const;

  static thread_local Tape* current_;
  Arena activations_, gradients_;
  std::vector<Node> nodes_;
  std::vector<Tensor> penalties_;
  std::uint64_t stream_ = 0;
  const char* last_parameter_ = "";  // for messages: the parameter that was used last
};

}  // namespace ef
