// What the results of all plans say of claims, judged together.
#include <algorithm>
#include <cmath>
#include <map>

#include "engine/error.h"
#include "train/experiment/summary.h"
#include "train/text/text.h"

namespace ef {
namespace {

using Role = Prediction::Role;

bool same_number(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool same_numbers(const std::vector<double>& a, const std::vector<double>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same_number);
}

bool same_bits(const RunResult& a, const RunResult& b) {
  const auto same_figure = [](const auto& x, const auto& y) {
    return x.first == y.first && same_number(x.second, y.second);
  };
  const auto same_curve = [](const Curve& x, const Curve& y) {
    return x.name == y.name && x.layer == y.layer && same_numbers(x.steps, y.steps) &&
           same_numbers(x.values, y.values);
  };
  return !a.figures.empty() &&
         std::equal(a.figures.begin(), a.figures.end(), b.figures.begin(), b.figures.end(), same_figure) &&
         std::equal(a.curves.begin(), a.curves.end(), b.curves.begin(), b.curves.end(), same_curve);
}

// In each seed in which neither failed, and in one at least.
bool same_bits(const std::vector<RunResult>& results, const std::string& arm, const std::string& other) {
  std::map<std::uint64_t, const RunResult*> others;
  for (const RunResult& result : results)
    if (result.arm == other && !result.failed()) others[result.seed] = &result;
  bool any = false;
  for (const RunResult& result : results) {
    if (result.arm != arm || result.failed() || !others.contains(result.seed)) continue;
    if (!same_bits(result, *others[result.seed])) return false;
    any = true;
  }
  return any;
}

std::vector<PredictionSummary*> pointers(std::vector<PredictionSummary>& predictions) {
  std::vector<PredictionSummary*> all;
  for (PredictionSummary& s : predictions) all.push_back(&s);
  return all;
}

}  // namespace

std::string why_same(const Plan& plan, const std::string& arm, const std::string& other,
                     const std::vector<RunResult>& results) {
  const Config &a = plan.arm(arm)->config, &b = plan.arm(other)->config;
  if (options_of(without_idle(a)) == options_of(without_idle(b))) {
    std::string idle;
    const auto of_a = options_of(a), of_b = options_of(b);
    Config any;
    for (const Field& field : fields(any).list) {  // in the order of --help
      const auto found = of_a.find(field.name);
      if (found != of_a.end() && of_b.at(field.name) != found->second)
        idle += (idle.empty() ? "--" : ", --") + field.name;
    }
    return idle.empty() ? "its options are the same" : "its options are idle: " + idle;
  }
  return same_bits(results, arm, other) ? "same bits" : "";
}

std::vector<Summary> judged(std::vector<Summary> summaries) {
  std::vector<PredictionSummary*> all;
  for (Summary& summary : summaries)
    for (PredictionSummary& s : summary.predictions) all.push_back(&s);
  judge_together(all);
  return summaries;
}

Family family_of(const std::vector<Summary>& summaries) {
  std::vector<PredictionSummary> all;
  for (const Summary& summary : summaries)
    all.insert(all.end(), summary.predictions.begin(), summary.predictions.end());
  return family_of(all);
}

std::vector<ClaimSummary> judge_claims(const std::vector<Summary>& given,
                                       const std::vector<PredictionSummary>& of_theory) {
  const std::vector<Summary> summaries = judged(given);
  std::vector<PredictionSummary> theory = of_theory;
  judge_together(pointers(theory));
  std::vector<ClaimSummary> claims;
  for (const Summary& summary : summaries) {
    for (const Statement& claim : summary.plan->claims) {
      const auto same = std::find_if(claims.begin(), claims.end(),
                                     [&](const ClaimSummary& c) { return c.claim.id == claim.id; });
      if (same == claims.end())
        claims.push_back({claim, {}, {}, {}});
      else if (same->claim.says != claim.says || same->claim.source != claim.source)
        fail(summary.plan->path + ": claim '" + claim.id + "'", in_quotes(claim.says),
             in_quotes(same->claim.says), "two plans say it differently");
    }
  }
  std::stable_partition(claims.begin(), claims.end(),
                        [](const ClaimSummary& c) { return c.claim.source == "paper"; });
  for (ClaimSummary& c : claims) {
    const auto of_claim = [&](const std::vector<PredictionSummary>& all, std::vector<PredictionSummary>& to) {
      for (const PredictionSummary& s : all)
        if (s.prediction.claim == c.claim.id && s.prediction.role != Role::check) to.push_back(s);
    };
    for (const Summary& summary : summaries) of_claim(summary.predictions, c.predictions);
    c.training = column_of(c.predictions);
    std::vector<PredictionSummary> simulated;
    of_claim(theory, simulated);
    c.theory = column_of(simulated);
    c.predictions.insert(c.predictions.end(), simulated.begin(), simulated.end());
  }
  return claims;
}

std::vector<std::string> rules(const std::vector<Summary>& given,
                               const std::vector<PredictionSummary>& theory) {
  const std::vector<Summary> summaries = judged(given);
  const Family family = family_of(summaries), of_theory = family_of(theory);
  if (family.primaries + of_theory.primaries == 0) return {};
  std::vector<std::string> lines = {
      "A primary prediction is the one by which a plan judges a claim on its task; a claim is judged by its "
      "primaries alone."};
  std::string line = "A primary holds, or is contradicted, where its p value is below .05";
  if (family.primaries > 1)
    line += " after Holm's correction for all " + count_text(family.primaries, "primary prediction") +
            " of the plans shown here";
  if (family.unfinished > 0)
    line += " (" + std::to_string(family.unfinished) + (family.unfinished == 1 ? " is" : " are") +
            " not finished, and counted with p = 1)";
  line += "; else it is undecided.";
  if (family.primaries == 1) line += " It is the only one here: there is nothing to correct.";
  lines.push_back(line);
  lines.emplace_back(
      "p is that of the paired t test that the difference lies at the boundary of what was predicted; where "
      "\"near\" was predicted, of two one-sided tests for equivalence within the margin.");
  lines.emplace_back(
      "A claim is reproduced if all its primaries hold; in part, if some hold and the others are undecided; "
      "mixed, if some hold and some are contradicted; contradicted, if some are and none holds.");
  if (of_theory.primaries > 0)
    lines.push_back("Theory is judged apart, by Holm's correction for its own " +
                    count_text(of_theory.primaries, "primary prediction") +
                    ": simulations of random walks, which repeat what was known before.");
  lines.emplace_back(
      "Secondary predictions are shown with 95 % intervals that are not corrected for their number, and get "
      "no verdict. Checks ask, by the plain interval, whether the regulariser does what it is built to do; "
      "they count for no claim.");
  std::vector<std::string> afterwards;
  std::size_t with_predictions = 0;
  for (const Summary& summary : summaries) {
    if (!summary.plan->predictions.empty()) ++with_predictions;
    if (summary.plan->roles_chosen_afterwards) afterwards.push_back(summary.plan->name);
  }
  if (!afterwards.empty())
    lines.push_back(
        "No prediction of " +
        (afterwards.size() == with_predictions && with_predictions > 1 ? "these plans"
                                                                       : enumeration(afterwards)) +
        " has a role in its plan: roles were given afterwards, by a rule that was written down "
        "before it was applied. Measures of the spectrum of W are checks, the first other prediction "
        "of each claim is its primary, all others are secondary. The predictions themselves stood "
        "in the plans before the runs.");
  return lines;
}

}  // namespace ef
