// Figures and tables of what one plan found: the parts of its section of the page (train/experiment/page.h).
#pragma once
#include <string>
#include <vector>

#include "train/experiment/summary.h"
#include "train/plot/page.h"

namespace ef {

// What a page calls a measure: "Attention entropy", in units of "entropy", "1 is uniform, 0 one-hot".
// Measures that have no name here are called what plans call them. The measure must outlive it.
struct Named {
  const char *measure, *title, *unit, *scale;
};
Named named(const std::string& measure);

// Of a plan with results: curves over the seeds, paired differences, tables of arms and their options, site
// profiles, attention maps, eigenvalues.
std::vector<Content> figures_of(const PlanResults& p);
// The table of options alone, for a plan without.
std::string arm_options(const Plan& plan);

}  // namespace ef
