// The results of plans as parts of a page: what train/experiment/summary.h computes, drawn.
#pragma once
#include <string>
#include <vector>

#include "train/evidence/claims.h"
#include "train/experiment/summary.h"
#include "train/plot/page.h"

namespace ef {

// The claims of all plans with their verdicts, for show(): judged together. theory: see judge_claims().
std::vector<Claim> claims_of(const std::vector<PlanResults>& plans,
                             const std::vector<PredictionSummary>& theory = {});

// What one plan found: curves over the seeds, paired differences, a table of arms, eigenvalues, site
// profiles, and what to type. One section, headed by the plan's name.
Section section_of(const PlanResults& plan);

// What theory and simulation add: predictions that are judged beside those of the plans, and sections.
struct Theory {
  std::vector<PredictionSummary> predictions = {};
  std::vector<Section> sections = {};
};
// Verdicts first, then a section for each plan, then those of the theory.
Page experiment_page(const std::vector<PlanResults>& plans, const Theory& theory = {});

}  // namespace ef
