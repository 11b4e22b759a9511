// Several runs beside each other: what differs in how they were made, how they went, where they ended.
#pragma once
#include <string>
#include <vector>

#include "train/plot/page.h"

namespace ef {

// The options, and facts of config.json, in which runs differ; a value a run, "–" where it has none. Names
// and folders are left out. Error if a config.json is missing or no JSON object.
struct Difference {
  std::string name;
  std::vector<std::string> values;
};
std::vector<Difference> differences(const std::vector<std::string>& run_folders);

// Both tables for a terminal: what differs, and what was measured last (comparison() in train/watch.h).
std::string comparison_text(const std::vector<std::string>& run_folders);

// The same as a page, with a chart for each quantity that is no detail: a curve a run, on shared axes. Error
// as above, and for more runs than can be told apart (24).
Page comparison_page(const std::vector<std::string>& run_folders);

}  // namespace ef
