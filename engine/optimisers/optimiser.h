// Optimisers: from gradients to the next weights.
//
// A rule says how one parameter moves, and what it remembers of it. Each is a file of this folder, with its
// options beside it (engine/option.h), known by one line at its end. The Optimiser gives each parameter its
// rule, learning rate and decay, keeps what the rules remember, and divides the work among workers.
#pragma once
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/option.h"
#include "engine/parameters.h"
#include "engine/registry.h"

namespace ef {

// ---- A rule

// What a rule is given of a parameter: numbers [0, n) of it, all of them for a rule that wants whole ones.
struct Moving {
  const Parameter& parameter;
  Index n;
  Real* w;        // the weights, to be moved
  const Real* g;  // their gradients
  // What the rule remembers, in the order of remembers(): zeros at first. Of what has the parameter's shape
  // the same n numbers; else all of it.
  std::array<Real*, 3> memory;
};

struct OptimiserStep {
  Index step;           // counts from 1
  Real learning_rate;   // of this parameter's group
  Real decay;           // decoupled: w shrinks by learning_rate * decay
  Real gradient_scale;  // gradients are multiplied by it before use (clipping)
};

struct OptimiserRule {
  virtual ~OptimiserRule() = default;
  static constexpr const char* kind = "optimiser";
  using Factory = std::function<std::unique_ptr<OptimiserRule>(const OptionValues&)>;

  // Names and shapes of what it remembers of a parameter, three at most. Checkpoints have them as
  // "optimiser.NAME.PATH".
  struct Memory {
    const char* name;
    Shape shape;
  };
  virtual std::vector<Memory> remembers(const Parameter&) const = 0;
  // Whether it needs all numbers of a parameter together, as a rule for matrices does. Others get pieces.
  virtual bool wants_whole() const { return false; }
  // The rule for a parameter that this one is not made for; "": it is made for all.
  virtual std::string instead_for(const Parameter&) const { return ""; }
  // Called by several threads at once, of which each has parameters, or pieces, of its own.
  virtual void update(const Moving& p, const OptimiserStep& step) const = 0;
};

// A running mean whose input stays 0, as of a token that does not come, would fall to the denormal numbers
// and stay there: rounded up, the smallest times 0.9 are themselves. Processors work on them slowly.
inline Real without_denormals(Real x) {
  return std::fabs(x) < std::numeric_limits<Real>::min() ? Real(0) : x;
}

// The options of Adam, for rules that leave some parameters to it.
std::vector<Declaration> adam_options();

// ---- All parameters

struct OptimiserConfig {
  std::string rule = "adamw";
  double learning_rate = 1e-3;  // the highest of the schedule: those of groups are told beside it
  double weight_decay = 0.1;
  std::string decay = "matrices";  // which parameters decay: see decay_groups()
  // Parameters that are treated differently, separated by semicolons; of several that match the last counts:
  //   "head lr=1e-3 weight-decay=0; blocks.*.attn.* optimiser=muon momentum=0.9"
  // First who: matrices, embeddings, head, vectors, or a pattern of paths. Then what: optimiser, lr (its
  // highest, the schedule's shape stays), weight-decay, and options of the group's rule.
  std::string groups;
  OptionValues options;
};

// "matrices" (two axes or more: not gains and biases), "all", "none".
std::vector<std::string> decay_groups();

class Optimiser {
 public:
  // Error for a rule, group or option that there is not, with the nearest name, and for a group that matches
  // nothing. workers: how many update() is for. The parameters must outlive it.
  Optimiser(const Parameters& parameters, const OptimiserConfig& config, Index workers = 1);

  // This worker's part of an update, on flat buffers. `step` counts from 1. learning_rate: of all that is in
  // no group with one of its own; gradients are multiplied by gradient_scale. The result does not depend on
  // the number of workers.
  void update(Index worker, Real* values, const Real* gradients, Index step, double learning_rate,
              double gradient_scale);

  // What rules remember, in the order of a checkpoint: by name, then as the parameters stand.
  struct Memory {
    std::string name;  // "first_moment"
    const Parameter* parameter;
    Shape shape;
    Real* data;
  };
  const std::vector<Memory>& memory() const { return memory_; }
  // Of a parameter; nullptr if its rule remembers nothing of that name.
  const Real* remembered(const std::string& name, const std::string& path) const;
  std::size_t bytes() const { return static_cast<std::size_t>(numbers_.size()) * sizeof(Real); }
  // "muon: 12 parameters (393,216 numbers), adamw: 17 (41,856)"
  std::string describe() const;
  std::size_t rules() const;  // how many different ones are at work

 private:
  struct Treatment {  // of one parameter
    const Parameter* parameter;
    std::shared_ptr<const OptimiserRule> rule;
    std::string rule_name;
    Real decay = 0;
    double rate = 1;  // times the learning rate
    std::array<Index, 3> offsets{};
    std::array<bool, 3> like_weights{};  // whether that memory is as large as the parameter
  };
  struct Piece {  // of a treatment, that one worker does
    std::size_t of;
    Index first, last;
  };
  void share(Index workers);

  std::vector<Treatment> treatments_;       // of the trained parameters
  std::vector<std::vector<Piece>> pieces_;  // by worker
  std::vector<Memory> memory_;
  Buffer numbers_;  // of all memories
};

// The sum of squares of n numbers, in double: a fixed order of addition for a given n.
double sum_of_squares(const Real* x, Index n);

}  // namespace ef
