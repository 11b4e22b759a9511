// Plans: what is compared, and what is predicted.
//
// A plan is a JSON object (comments are allowed):
//   name, about          the name is that of its folders
//   options              of train, for all runs, as a line of text: "--preset paper --dropout 0"; arms cannot
//                        have a preset
//   updates, seeds       the budget of each run; whole numbers
//   waits                why its runs are not to be made yet, as "its arms are settled by the screening":
//                        predictions can stand before the arms do
//   arms                 name -> further options, in the order of the tables
//   grid                 list of {"name": "locater {c}", "options": "... --target {c}", "c": [8, 16]}: more
//                        arms, one for each combination of the lists; the first list changes slowest
//   baseline             the arm that others are compared with
//   measures             names of figures that the tables show, see RunResult
//   context_evaluation   true: perplexity with sliding context too, of the best checkpoint
//   test                 true: figures of the test set, computed at the end of each run from its best
//                        checkpoint, as weights are not kept, but shown only when all runs of the plan are
//                        there
//   claims               id -> {"says": sentence, "source": "paper" or "ours"}
//   predictions          list of {"claim": id, "says": sentence, "measure", "arm", "against" (default: the
//                        baseline), "direction": "lower", "higher" or "near", "margin", "role": "primary",
//                        "check" or "secondary"}, written before the runs
// Roles of predictions: see train/evidence/verdict.h. Where some predictions of a plan have a role, one
// without is secondary. Plans without any role were written before there were roles. They get them by a rule
// that was written down before it was applied, but after their runs, and it is said that this was done
// afterwards:
//   (a) predictions whose measure begins with "qk.spectrum." are checks;
//   (b) of the others, the first of each claim, in the order of the plan, is its primary;
//   (c) all others are secondary.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "train/config.h"
#include "train/evidence/verdict.h"

namespace ef {

struct Arm {
  std::string name, options;  // as the plan has them
  Config config;              // all of them, but for the seed
};

struct Plan {
  std::string path;  // of its file
  std::string name, about, options, baseline;
  std::string with;  // what load_plan() was given beside the file; in `options`, too
  std::string waits;
  Index updates = 0;
  std::vector<std::uint64_t> seeds;
  std::vector<Arm> arms;
  std::vector<std::string> measures;
  bool context_evaluation = false, test = false;
  std::vector<Statement> claims;
  std::vector<Prediction> predictions;
  bool roles_chosen_afterwards = false;  // by the rule above

  const Arm* arm(const std::string& name) const;  // nullptr if there is none
};

// Error, before anything runs, for what a plan cannot mean: unknown keys, arms, claims, measures or options,
// names that come twice, two primaries of one claim. Arms that do the same are none: see Summary::same_arms.
// with: further options for all arms, which count more than the plan's `options` and less than those of arms.
Plan load_plan(const std::string& path, const std::string& with = "");

// What the files and folders of a run are named after: letters, digits, points and dashes,
// "locater-target-seed3".
std::string result_name(const std::string& arm, std::uint64_t seed);
// What makes the results of a plan: "build/bin/experiment PLAN", and with what it was loaded.
std::string command_of(const Plan& plan);
// "5 arms x 2 seeds x 1,000 updates"
std::string budget_text(const Plan& plan);
// What is said of a plan without results.
std::string not_run_text(const Plan& plan);

}  // namespace ef
