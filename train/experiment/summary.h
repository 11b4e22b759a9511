// What the results of plans say: a function of the plans and the result files alone.
#pragma once
#include <string>
#include <vector>

#include "train/evidence/verdict.h"
#include "train/experiment/plan.h"
#include "train/experiment/result.h"

namespace ef {

struct MeasureSummary {
  std::string measure;
  std::vector<std::uint64_t> seeds;  // of `values`
  std::vector<double> values;        // of the runs that did not fail
  double mean = 0, standard_error = 0;
  // arm - baseline, paired by seed; empty for the baseline itself
  std::vector<double> differences;
  double effect = 0;  // their mean
  Interval t{}, bootstrap{};
};

struct ArmSummary {
  std::string arm;
  std::size_t finished = 0, failed = 0, planned = 0;  // runs
  std::vector<MeasureSummary> measures;
};

struct Summary {
  const Plan* plan = nullptr;
  std::vector<ArmSummary> arms;
  std::vector<PredictionSummary> predictions;
  std::size_t planned = 0, finished = 0, failed = 0;  // runs
  bool test_hidden = false;                           // figures of the test set wait for the other runs
  std::vector<std::string> failures;                  // a line for each failed run
  std::vector<std::string> versions, machines;        // that made the results, each once
  std::vector<std::string> warnings;                  // of train: a line for each arm and text
  std::vector<std::string> windows;                   // how much text probes have read: lines for remarks()
  // Arms that do what another does: a comparison of the two says nothing. A line for each such pair.
  std::vector<std::string> same_arms;
};

// The plan must outlive the summary. Verdicts are those of this plan alone: see judged().
Summary summarise(const Plan& plan, const std::vector<RunResult>& results);

// A plan with what is known of it. The plan must outlive it.
struct PlanResults {
  const Plan* plan = nullptr;
  std::vector<RunResult> results;
  Summary summary;
  std::string folder = "";  // of the result files; "": beside the plan
};
// Reads the result files, see load_results().
PlanResults read_results(const Plan& plan, const std::string& results);

// Why an arm does what another does, or "":
//   "its options are the same"
//   "its options are idle: --softcap"    they differ in options that do nothing (idle_reason(), config.h)
//   "same bits"                          all figures and curves are equal, in each seed where neither failed
std::string why_same(const Plan& plan, const std::string& arm, const std::string& other,
                     const std::vector<RunResult>& results);

// The same summaries, judged over the primaries of all of them. Theory is a family of its own.
std::vector<Summary> judged(std::vector<Summary> summaries);
Family family_of(const std::vector<Summary>& summaries);
// A function of all summaries, which it judges together. The paper's claims first. theory: predictions that
// are about claims of the plans but do not come from runs (localize_predictions()). Error if two plans say a
// claim differently.
std::vector<ClaimSummary> judge_claims(const std::vector<Summary>& summaries,
                                       const std::vector<PredictionSummary>& theory = {});

// How verdicts are made, in plain sentences, for these plans.
std::vector<std::string> rules(const std::vector<Summary>& summaries,
                               const std::vector<PredictionSummary>& theory = {});
// What must be known to read the tables of a plan: what is missing, failed or hidden, which arms do the same,
// what train warned of, on how much text probes rest, what made the results.
std::vector<std::string> remarks(const Summary& summary);
// For a terminal, as Markdown, and as CSV with a line for each arm and measure. All summaries are judged
// together. theory: see judge_claims().
std::string summary_text(const std::vector<Summary>& summaries,
                         const std::vector<PredictionSummary>& theory = {});
std::string summary_markdown(const std::vector<Summary>& summaries,
                             const std::vector<PredictionSummary>& theory = {});
std::string summary_csv(const std::vector<Summary>& summaries);

}  // namespace ef
