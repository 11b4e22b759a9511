// What localize.json holds (train/localize_job.h), as text, files and sections of a page.
#pragma once
#include <string>

namespace ef {

// What the terminal shows of it.
std::string localize_text(const std::string& json);

// Writes localize.json, theory.csv, softmax.csv, diagrams.csv (where there are diagrams) and report.html into
// the folder, which it makes.
void write_localize(const std::string& folder, const std::string& json);

}  // namespace ef
