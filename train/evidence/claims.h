// Claims with their verdicts, as parts of a page.
#pragma once
#include <limits>
#include <string>
#include <vector>

#include "train/evidence/verdict.h"

namespace ef {

struct Claim {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  struct Prediction {
    std::string text = "";
    bool judged = true;  // false: it has no verdict, and stands in a folded table of its own
    Judgement verdict = Judgement::not_run;
    double effect = unknown, low = unknown, high = unknown;  // and its 95 % interval, if measured
    std::string unit = "";                                   // "nats"
    std::string p = "", corrected = "";                      // p values, as they are shown
    std::string evidence = "";                               // what it rests on: "5 pairs"
    std::string detail = "";                                 // "Test loss, a against b: lower predicted"
  };
  struct Finding {
    std::string name = "";  // what it is judged by, where there are several: "training", "theory"
    Judgement verdict = Judgement::not_run;
    std::string reason = "";  // why this verdict; under which conditions
  };
  std::string text = "";    // what is claimed
  std::string source = "";  // who claims it, where
  std::vector<Finding> findings = {};
  std::vector<Prediction> predictions = {};
  std::string command = "";  // what to type to see it
  std::string id = "";       // its anchor is claim-ID; "": slug(text)
};

// What claim_text() says in a badge, with a sign of its own: not by colour alone.
std::string badge(Judgement verdict);
// All claims, with their predictions below them: those that are judged, then, folded, those that are not.
std::string show(const std::vector<Claim>& claims);

}  // namespace ef
