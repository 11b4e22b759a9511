// Sweeps: the runs of plans.
#pragma once
#include <string>
#include <vector>

#include "train/experiment/plan.h"

namespace ef {

struct SweepOptions {
  Index jobs = 0;  // runs at once; 0: one for each processor
  std::string runs = "runs/experiment";
  std::string results;    // see results_folder()
  std::string programs;   // the folder of train and eval
  bool keep_old = false;  // results and runs begun of other code count as if they were of this one
  bool possible = false;  // leave out, and name, what cannot be run here: no tiles for its precision, no data
};

// Runs what has no result yet, but for plans that wait, and returns 0 when all results are there that can be;
// or the signal that interrupted it (SIGINT, SIGTERM, SIGHUP, which have their default handlers again): then what ran
// has left checkpoints. Error if a run makes a mistake of the user, and, before anything runs, if a result or
// a run begun is of other code than this program, as where a layer was changed since.
int run_sweep(const std::vector<Plan>& plans, const SweepOptions& options);

}  // namespace ef
