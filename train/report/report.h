// The page that shows a run: report.html in its folder, one file that opens anywhere.
#pragma once
#include <string>

#include "train/plot/page.h"

namespace ef {

// Reads config.json, metrics.jsonl, sample.txt and the arrays in probes/ of the run's folder. Only
// config.json must exist; what is missing or not finite is left out. Error if config.json is no JSON object.
Page run_page(const std::string& run_folder);
// Writes it as report.html there, atomically. Error if that cannot be done. refresh: seconds after which a
// browser is to load it anew, while the run goes on; 0: it does not.
void write_report(const std::string& run_folder, int refresh = 0);

}  // namespace ef
