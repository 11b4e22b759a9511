// What localize.json holds (train/localize/job.h), as text, files and sections of a page.
#pragma once
#include <string>
#include <vector>

#include "train/evidence/verdict.h"
#include "train/plot/page.h"

namespace ef {

// What the terminal shows of it.
std::string localize_text(const std::string& json);

// Parts of it: how far the tables are from their references, and, for each diagram, how often its panels
// agree.
std::string deviations_text(const std::string& json);
std::vector<std::string> agreement_texts(const std::string& json);

// The same as sections of a page: curves, diagrams, tables. Error if this is no content of localize.json.
std::vector<Section> localize_sections(const std::string& json);

// What its softmax table says of claims of the paper, each as a difference between two matrices with a 95 %
// interval (train/localize/claims.cpp). What is not in the table is left out. Error as above.
std::vector<PredictionSummary> localize_predictions(const std::string& json);

// Writes localize.json, theory.csv, softmax.csv, diagrams.csv (where there are diagrams) and report.html into
// the folder, which it makes.
void write_localize(const std::string& folder, const std::string& json);

}  // namespace ef
