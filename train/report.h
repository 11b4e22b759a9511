// The page that shows a run: report.html in its folder, one file that opens anywhere.
#pragma once
#include <string>

namespace ef {

// Reads config.json, metrics.jsonl, sample.txt and the eigenvalues in probes/ of the run's folder and writes
// report.html there, atomically. Only config.json must exist; what is missing or not finite is left out.
// Error if config.json is no JSON object, or the page cannot be written.
void write_report(const std::string& run_folder);

}  // namespace ef
