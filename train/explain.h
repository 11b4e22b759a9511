// A step of training from inside: what it is fed, what is computed, how long each op takes, and what is
// outside of ops.
#pragma once
#include <string>

#include "train/config.h"
#include "train/plot/figure.h"

namespace ef {

// One step op by op, as the first worker sees its first micro-batch, grouped by layer: inputs and output,
// milliseconds forward and backward (the medians of several steps), what its matrix products take and their
// share of the peak of one thread, memory that is held until the backward. The text is for a terminal.
struct Explanation {
  std::string text;
  std::string dot;  // the graph, in the language of Graphviz
  Figure figure;    // the same, drawn
};
Explanation explain_step(const Config& config);

// Its figure without times, which are of a machine: what follows from what.
Figure step_without_times(const Config& config);

// The same over many steps, as a table: seconds by layer and op, summed over layers of one kind, and what is
// outside of ops: reduction, optimiser, waiting, data, probes. It says what part of the time it accounts for.
std::string profile_steps(const Config& config);

// What the model is fed in the first step: inputs, targets, what is scored, as ids and as text.
std::string show_batch(const Config& config);

}  // namespace ef
