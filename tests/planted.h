// Plans of two arms, and results of them with known figures: what tests of summaries and of verdicts share.
#pragma once
#include "tests/plans.h"
#include "tests/programs.h"
#include "train/experiment/summary.h"

namespace ef {

inline Plan load(const Folder& folder, const json& plan) {
  return load_plan(folder.write("plan.json", plan.dump(1)));
}

// A result as a run of the plan would leave it, with these figures.
inline RunResult planted(const Plan& plan, const std::string& arm, std::uint64_t seed,
                         const std::map<std::string, double>& figures) {
  RunResult r;
  r.plan = plan.name;
  r.arm = arm;
  r.seed = seed;
  Config config = plan.arm(arm)->config;
  config.seed = seed;
  r.options = options_of(config);
  r.version = "1";
  r.data_fingerprint = "00ff";
  r.processor = "a processor";
  r.compiler = "a compiler";
  r.cores = 2;
  r.steps = plan.updates;
  r.figures = figures;
  return r;
}

// Five seeds, in which arm "b" is off arm "a" by these differences in the measure.
inline std::vector<RunResult> planted_pairs(const Plan& plan, const std::string& measure,
                                            const std::vector<double>& differences) {
  std::vector<RunResult> results;
  for (std::size_t i = 0; i < differences.size(); ++i) {
    const double base = 10 + static_cast<double>(i * i);
    results.push_back(planted(plan, "a", plan.seeds[i], {{measure, base}}));
    results.push_back(planted(plan, "b", plan.seeds[i], {{measure, base + differences[i]}}));
  }
  return results;
}

inline json two_arms(int seeds) {
  json plan = right_plan();
  plan["seeds"] = json::array();
  for (int i = 1; i <= seeds; ++i) plan["seeds"].push_back(i);
  plan["arms"] = {{"a", ""}, {"b", "--norm rms"}};
  plan["baseline"] = "a";
  plan["measures"] = json::array({"valid.loss"});
  plan["claims"]["c"] = {{"says", "A claim."}, {"source", "paper"}};
  plan["claims"].erase("norm");
  plan["predictions"] = json::array();
  return plan;
}

inline json predicts(const std::string& direction, double margin, const std::string& measure = "valid.loss") {
  return {{"claim", "c"}, {"says", direction},      {"measure", measure},
          {"arm", "b"},   {"direction", direction}, {"margin", margin}};
}

// The same with a role, and perhaps of another claim, which the plan must have (add_claim()).
inline json predicts_as(const std::string& role, const std::string& direction, double margin,
                        const std::string& claim = "c") {
  json prediction = predicts(direction, margin);
  prediction["role"] = role;
  prediction["claim"] = claim;
  return prediction;
}

inline void add_claim(json& plan, const std::string& id, const std::string& source = "paper") {
  plan["claims"][id] = {{"says", "Claim " + id + "."}, {"source", source}};
}

// Two plans of the same claim that predict the opposite; the second is called "other".
inline std::pair<json, json> opposite_plans() {
  json first = two_arms(3), second = two_arms(3);
  first["predictions"] = json::array({predicts("lower", 0)});
  second["predictions"] = json::array({predicts("higher", 0)});
  second["name"] = "other";
  return {first, second};
}

}  // namespace ef
