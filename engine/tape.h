// The tape: remembers what was computed, so that gradients can be computed in reverse.
//
// Ops run in an order in which each needs only what came before, so the order of recording is already a
// topological order of the graph, and the backward pass is a loop over the tape in reverse.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/arena.h"
#include "engine/random.h"
#include "engine/tensor.h"

namespace ef {

class Trace;  // engine/trace.h

// What a forward pass is for, and where its numbers stand in the batch. The tape only keeps it for the ops
// and layers that ask.
struct ForwardSettings {
  bool training = true;      // false: dropout passes its input through, and penalties are not kept
  Random random = {};        // seed and step of the numbers that dropout draws
  Index first_sequence = 0;  // where this worker's first sequence stands in the whole batch
  double share = 1;          // the part of the whole batch's sequences that this forward holds
};

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

  // Names the part of a model that computes until it ends, "blocks.0.attn", for traces and messages. The name
  // must outlive the computation. It costs two stores.
  class Part {
   public:
    explicit Part(const std::string& name) : tape_(current()), before_(tape_.part_) {
      tape_.part_ = name.c_str();
    }
    ~Part() { tape_.part_ = before_; }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

   private:
    Tape& tape_;
    const char* before_;
  };

  // What the tape itself does.
  bool recording = true;      // false: no gradients, no backward (validation, sampling)
  bool check_finite = false;  // true: throw NumericalError at the first op that yields NaN or infinity
  ForwardSettings settings;
  Trace* trace = nullptr;  // where each op is written down

  // The ops that came last on this thread's tape, the last first, for messages: "linear [4, 8]
  // (blocks.0.mlp.up.weight), layer_norm [4, 8] in blocks.0". "" if there were none.
  static std::string last_ops();

  // A number that differs for every call since reset(), in the order of the calls: the stream of a dropout.
  std::uint64_t next_stream() { return stream_++; }

  // The tensor that an op is about to compute from these inputs; data not initialised. It gets a gradient if
  // the tape is recording and an input has one. The op's backward may add to the gradients of these inputs
  // and of no others.
  Tensor output(const char* op, const Shape& shape, std::span<const Tensor> inputs);
  Tensor output(const char* op, const Shape& shape, std::initializer_list<Tensor> inputs) {
    return output(op, shape, std::span(inputs.begin(), inputs.size()));
  }

  // Ends an op: puts its backward on the tape, if y has a gradient. backward() reads y.grad and ADDS to the
  // gradients of the inputs. It captures by value what it needs (the captures are what is saved).
  template <class Backward>
  Tensor record(const Tensor& y, Backward backward) {
    return put(y, {}, [=](bool) { backward(); });
  }

  // The same for an op that makes the gradient of x from that of y place by place. If nothing was added to
  // that of x yet, x takes over the memory of y's gradient instead of getting its own. So
  // backward(const Real* dy, Real* dx, bool adds) adds to dx, or, where `adds` is false, replaces dy by it in
  // the same memory. dx is nullptr where x wants no gradient.
  template <class Backward>
  Tensor record_in_place(const Tensor& y, const Tensor& x, Backward backward) {
    return put(y, x.grad, [=](bool adds) { backward(y.grad, x.grad, adds); });
  }

  // Sets d(loss)/d(loss) to one and runs the tape in reverse. The gradient of an activation is set to zero
  // just before the first op that adds to it, and its memory goes to the next one when the op that made the
  // tensor has passed it on: so gradients take little memory, most of it still in cache. Gradients of
  // parameters are added to: whoever owns them zeroes them. loss: [1], from this tape.
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
    Gradient output, takes_over;
    std::size_t first_input, last_input;  // in inputs_
    void (*run)(void* backward, bool adds);
    void* backward;
  };
  // The end of record and record_in_place. backward(adds): false where takes_over did take over.
  template <class Backward>
  Tensor put(const Tensor& y, const Gradient& takes_over, Backward backward) {
    static_assert(std::is_trivially_destructible_v<Backward>, "capture tensors, pointers and numbers only");
    if (check_finite) check_values(y);
    if (trace) write_down(y);
    if (!y.grad) {
      inputs_.resize(first_input_);
      return y;
    }
    void* place = activations_.allocate<Backward>(1);
    nodes_.push_back({y.grad, takes_over, first_input_, inputs_.size(),
                      [](void* f, bool adds) { (*static_cast<Backward*>(f))(adds); },
                      new (place) Backward(backward)});
    first_input_ = inputs_.size();
    return y;
  }
  void check_values(const Tensor& y) const;
  void write_down(const Tensor& y);
  void run(std::size_t node, bool adds);
  void open(const Gradient& gradient);   // gives it memory, set to zero, if it has none
  void close(const Gradient& gradient);  // takes it back

  static thread_local Tape* current_;
  Arena activations_, gradients_;
  std::vector<Node> nodes_;
  std::vector<Gradient> inputs_;      // of all nodes
  std::size_t first_input_ = 0;       // of the node that is not recorded yet
  std::vector<Gradient::Slot> free_;  // memory of gradients that have been passed on
  std::vector<Tensor> penalties_;
  std::uint64_t stream_ = 0;
  // For messages.
  const char* part_ = "";
  const char* last_parameter_ = "";
  struct Done {
    const char *op, *parameter, *part;
    Shape shape;
  };
  std::array<Done, 5> last_ops_{};  // a ring
  std::size_t ops_ = 0;
};

}  // namespace ef
