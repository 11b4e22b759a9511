// The results of plans as parts of a page: what train/experiment/experiment.h computes, drawn.
#pragma once
#include <string>
#include <vector>

#include "train/experiment/experiment.h"
#include "train/plot/page.h"

namespace ef {

// A plan with what is known of it. The plan must outlive it.
struct PlanResults {
  const Plan* plan = nullptr;
  std::vector<RunResult> results;
  Summary summary;
  std::string folder = "";  // of the result files; "": beside the plan
};
// Reads the result files, see load_results().
PlanResults read_results(const Plan& plan, const std::string& results);

// The claims of all plans with their verdicts, for show(): judged together. theory: see judge_claims().
std::vector<Claim> claims_of(const std::vector<PlanResults>& plans,
                             const std::vector<PredictionSummary>& theory = {});

// What one plan found: curves over the seeds, paired differences, a table of arms, eigenvalues, site
// profiles, and what to type. One section, headed by the plan's name.
Section section_of(const PlanResults& plan);

// Verdicts first, then a section for each plan. theory: what localize.json holds (train/localize/results.h),
// whose predictions join those of the plans, and whose sections follow; "" for none.
Page experiment_page(const std::vector<PlanResults>& plans, const std::string& theory = "");

}  // namespace ef
