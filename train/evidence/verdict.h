// Verdicts: on predictions, corrected for their number, and on the claims that they are about.
//
// Roles. A *primary* is the one prediction by which a plan judges a claim on its task: one for each claim at
// most, as of several the best could be chosen. A *check* asks whether the regulariser does what it is built
// to do (it holds the trace that it is told to hold); it speaks of no claim. A *secondary* prediction is
// shown with its interval, and gets no verdict.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "train/evidence/statistics.h"

namespace ef {

struct Prediction {
  std::string claim, says, measure, arm, against;
  enum class Direction { lower, higher, near } direction = Direction::lower;
  // With d = arm - against, the prediction is d < -margin, d > margin, or |d| < margin.
  double margin = 0;
  enum class Role { primary, check, secondary } role = Role::secondary;
};

struct Statement {
  std::string id, says, source;
};

// Of a prediction, and of a claim by its primaries.
enum class Judgement {
  holds,         // of a claim: all do
  partly,        // of a claim: some hold, the others are undecided
  mixed,         // of a claim: some hold, some are contradicted
  contradicted,  // of a claim: some are, and none holds
  undecided,     // of a claim: none is decided
  unfinished,    // of a claim: some are not run yet, or not to their end
  not_run,
  not_asked,     // of a claim: it has no primary
  says_nothing,  // of a prediction: the two arms do the same
  shown          // of a prediction: it is secondary, and gets no verdict
};

struct PredictionSummary {
  Prediction prediction;
  std::string task;  // what it was asked on: the plan's name, "random walks"
  Judgement judgement = Judgement::not_run;
  std::vector<double> differences;  // by seed
  double effect = 0;
  Interval t{}, bootstrap{};
  // See p_value(); which of the two it speaks for. NaN: not finished, or fewer than two pairs.
  double p = std::numeric_limits<double>::quiet_NaN();
  Judgement tends = Judgement::undecided;
  // Of primaries: p, corrected by Holm's method for all that are judged together. NaN where p is.
  double adjusted = std::numeric_limits<double>::quiet_NaN();
  std::size_t planned = 0, over = 0, failed = 0;  // pairs: over when both runs have ended, failed if one has
  bool finished = false;                          // all pairs are over, and may be shown
  std::string nothing;                            // why it says nothing; empty if it does
  std::string notes;                              // of what is missing: "1 pair left out, as a run failed"
  std::string words;                              // the verdict as a sentence; empty for what is only shown
  std::string evidence;                           // what it rests on: "5 pairs", "4000 draws"
  std::string command;                            // what to type to see it
};

// By the 95 % t interval of the differences, without any correction, as checks are judged: it holds where the
// whole interval is inside of what was predicted, it is contradicted where the whole interval is outside, and
// undecided otherwise, or for fewer than two pairs.
Judgement judge(const Prediction& prediction, const Interval& t);

struct PValue {
  double p;         // NaN if the effect or its error is
  Judgement tends;  // holds or contradicted, whichever has the smaller p; undecided where p is NaN or 1
};
// The p value of a prediction, from p_above() (train/evidence/statistics.h), such that p < .05 exactly where
// the 95 % t interval is inside of what was predicted (holds), or outside (contradicted), but for effects
// without spread.
//   lower, higher   two-sided, of the t test that d is at the boundary, -margin or margin
//   near            two one-sided tests, TOST (Schuirmann 1987, Journal of Pharmacokinetics and
//                   Biopharmaceutics 15, 657-680). holds: 2 max(p(d > -margin), p(d < margin)), twice what
//                   TOST needs; contradicted: 2 min(p(d < -margin), p(d > margin)). The smaller one counts.
// At most 1. degrees: of freedom of the error, pairs - 1.
PValue p_value(const Prediction& prediction, double effect, double error, std::int64_t degrees);

// The primaries that are judged together.
struct Family {
  std::size_t primaries = 0, unfinished = 0;
};

// Sets what follows from all of these predictions together: the corrected p values of primaries, all
// judgements and their words. A primary holds, or is contradicted, where its p, corrected by Holm's method
// for all primaries among them, is below .05. Those that are not finished count in their number, with p = 1,
// so that no verdict is undone by what comes later; those between arms that do the same do not count.
Family judge_together(const std::vector<PredictionSummary*>& predictions);
Family family_of(const std::vector<PredictionSummary>& theory);

// What the primaries of a claim say together. Training and theory are judged apart: simulations of random
// walks repeat what was known, and no training follows from them.
struct ClaimSummary {
  struct Column {
    Judgement judgement = Judgement::not_asked;
    std::size_t primaries = 0, holds = 0;
    // The judgement, and on which tasks: "in part: holds on a (1 of 2 tasks); undecided on b".
    std::string words;
  };
  Statement claim;
  Column training, theory;
  std::vector<PredictionSummary> predictions;  // of plans, then of theory; all roles but checks
};
// What the primaries among these say.
ClaimSummary::Column column_of(const std::vector<PredictionSummary>& predictions);

// "lower by more than 0.1", "near, within 0.02"
std::string relation_text(const Prediction& prediction);

// Of a prediction: "holds", "contradicted", ...; "" for what is only shown.
const char* text_of(Judgement judgement);
// The same in the words of the role: a check is "as built" or "not as built".
const char* text_of(Judgement judgement, Prediction::Role role);
const char* text_of(Prediction::Role role);
// Of a claim: "reproduced", "in part", "mixed", "contradicted", ...
const char* claim_text(Judgement judgement);

}  // namespace ef
