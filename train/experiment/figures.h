// Figures and tables of what one plan found: the parts of its section of the page (train/experiment/page.h).
#pragma once
#include <string>
#include <vector>

#include "train/experiment/summary.h"
#include "train/plot/page.h"

namespace ef {

// Of a plan with results: curves over the seeds, paired differences, tables of arms and their options, site
// profiles, attention maps, eigenvalues.
std::vector<Content> figures_of(const PlanResults& p);
// The table of options alone, for a plan without.
std::string arm_options(const Plan& plan);

}  // namespace ef
