// One step of training, divided among workers by replica.
//
// Each worker has a tape, gradients and a copy of the model's handles; all share one set of weights. A step:
//   0. state moves (power iterations, held means), on one thread;
//   1. each worker runs forward and backward over its share of the batch's sequences, in micro-batches,
//      adding to its own gradients; the first one adds those of the regulariser;
//   2. each adds up its pieces of all workers' gradients, in the order of the workers;
//   3. each updates its part of the weights.
// Sums are always taken in the same order, so a run is repeated to the bit by the same number of workers.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "data/batches.h"
#include "engine/optimisers/optimiser.h"
#include "engine/schedule.h"
#include "engine/tape.h"
#include "engine/workers.h"
#include "models/probes/probes.h"
#include "models/regulariser.h"
#include "models/transformer.h"
#include "train/config.h"

namespace ef {

struct StepResult {
  double loss = 0;           // mean over the scored targets, in nats, label smoothing included
  double regulariser = 0;    // the term that was added to it
  double gradient_norm = 0;  // before clipping
  double learning_rate = 0;
};

// Where the seconds of steps went, as the first worker saw them: they add up to `all`, but for what lies
// between. The same clock stands before and after, so that measuring costs nothing to speak of.
struct StepTimes {
  double state = 0;    // power iterations, held means
  double packing = 0;  // of weights, for products of low precision
  double passes = 0;   // forward and backward
  double regulariser = 0;
  double waiting = 0;    // for the other workers
  double reduction = 0;  // adding up the workers' gradients, and their norm
  double update = 0;     // the optimiser
  double all = 0;
};

struct Evaluation {
  double nats = 0;        // sum over the scored targets
  double floor_nats = 0;  // the same in the true language; NaN if not known
  Index tokens = 0;
  double error = 0;      // standard error of the loss over batches of windows; NaN of one batch
  bool complete = true;  // false: it was interrupted, and holds nothing
  double loss() const { return nats / static_cast<double>(tokens); }
  double floor() const { return floor_nats / static_cast<double>(tokens); }
};

// Bytes that training needs, by what for. other: what the process holds beside them, the text and libraries
// for the most part (0 where the system does not tell).
struct MemoryPlan {
  std::size_t weights = 0, optimiser = 0, gradients = 0, activations = 0, activation_gradients = 0, other = 0;
  std::size_t total() const {
    return weights + optimiser + gradients + activations + activation_gradients + other;
  }
};

// How many of its `sequences` a worker takes at once where nobody says. A few at a time keep activations in
// cache, but each time all weights and their gradients are read anew; and matmuls want rows enough. A
// function of sizes alone, not of the machine: it decides the order of additions, so it belongs to what is
// repeatable.
Index automatic_micro_batch(const ModelConfig& model, Index parameters, Index sequences);

// What square matrix products reach on all workers at once, in FLOP/s.
double measure_peak(Workers& workers);

class Trainer {
 public:
  // Draws the weights from config.seed. config.model.vocab must be set. Error if the configuration makes no
  // sense.
  Trainer(const Config& config, Workers& workers);

  // The update that follows `done` updates, on this batch. Throws NumericalError, with the weights as they
  // were, if the loss or the gradient is not finite; its message names the first op or parameter, and the
  // step.
  StepResult step(const Batch& batch, Index done);

  // Forward and backward without an update: loss and gradients, summed over workers, in gradients(). Also the
  // way to touch all memory that a step needs before plan() is asked.
  double loss_and_gradients(const Batch& batch, Index done);

  // Reads probes, in the order of `probes`, in a forward without dropout over the text of each row of the
  // batch; nothing of the training is changed. A row that is cut to one token of text has nothing to attend
  // to, and is passed over where there are longer ones. Rows are divided among the workers; the readings are
  // the same bits for any number of them. With keep_values() before the last update, the probes also know the
  // weights before it.
  std::vector<Reading> observe(const std::vector<Probe>& probes, const Batch& batch);
  void keep_values();

  // Nats of all windows (no dropout, no label smoothing): the same bits for any number of workers.
  // goes_on(share done) is asked now and then, on the calling thread; if it says no the evaluation ends, not
  // complete.
  Evaluation evaluate(const ValidationWindows& windows, Index rows,
                      const std::function<bool(double)>& goes_on = {});

  // After a step, or loss_and_gradients(), has touched what it needs.
  MemoryPlan plan() const;
  Index sequences_at_once() const { return micro_batch_; }  // at most, in a worker
  double flops() const;                                     // of all matmuls so far, over all workers
  // Of the seconds that steps took so far, the share that the regulariser took.
  double regulariser_share() const { return times_.all > 0 ? times_.regulariser / times_.all : 0; }
  const StepTimes& times() const { return times_; }  // of all steps so far

  Parameters& parameters() { return parameters_; }
  const Optimiser& optimiser() const { return *optimiser_; }
  const Real* gradients() const { return replicas_.front()->gradients.data(); }
  const Transformer& model() const { return *replicas_.front()->model; }
  Tape& tape() { return replicas_.front()->tape; }
  Regulariser& regulariser() { return *regulariser_; }

 private:
  struct Replica {
    Tape tape;
    Buffer gradients;
    std::unique_ptr<Transformer> model;
    double loss = 0, flops = 0;
  };
  void forward_backward(Replica& replica, const Batch& batch, Share rows, Index done, bool check_finite);
  void regularise(Index done);
  void reduce_pieces(Index worker);
  [[noreturn]] void explain(const Batch& batch, Index done, double loss);

  // A stretch of one trained parameter. The gradient's norm is summed piece by piece, and so does not depend
  // on the number of workers, or on state that stands beside the parameters.
  struct Piece {
    Index offset, size;
    double squares;
  };

  Config config_;
  Index micro_batch_;
  Workers& workers_;
  std::vector<Piece> pieces_;
  Parameters parameters_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::unique_ptr<Optimiser> optimiser_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<Regulariser> regulariser_;
  double regulariser_loss_ = 0;
  StepTimes times_;
  Buffer values_before_;  // empty unless kept
  bool values_kept_ = false;
};

}  // namespace ef
