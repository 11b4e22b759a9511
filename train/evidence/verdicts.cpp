// Verdicts: on predictions, corrected for their number, and what these say of claims.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/error.h"
#include "train/experiment/experiment.h"

namespace ef {
namespace {

using Direction = Prediction::Direction;
using Role = Prediction::Role;

constexpr double level = 0.05;

// ---- Arms that do the same

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

// ---- Words

// "a, b and c"
std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

bool decides(const PredictionSummary& s) {
  return s.prediction.role == Role::primary && s.judgement != Judgement::says_nothing;
}

std::vector<PredictionSummary*> pointers(std::vector<PredictionSummary>& predictions) {
  std::vector<PredictionSummary*> all;
  for (PredictionSummary& s : predictions) all.push_back(&s);
  return all;
}

Family family_among(const std::vector<const PredictionSummary*>& predictions) {
  Family family;
  for (const PredictionSummary* s : predictions) {
    if (!decides(*s)) continue;
    ++family.primaries;
    if (!s->finished) ++family.unfinished;
  }
  return family;
}

// ---- Claims

ClaimSummary::Column column_of(const std::vector<PredictionSummary>& predictions) {
  using Status = ClaimSummary::Status;
  ClaimSummary::Column column;
  std::map<Judgement, std::vector<std::string>> tasks;
  std::vector<std::string> nothing;
  bool begun = false;
  for (const PredictionSummary& s : predictions) {
    if (s.prediction.role != Role::primary) continue;
    if (!decides(s)) {
      nothing.push_back(s.task + ": " + s.words);
      continue;
    }
    ++column.primaries;
    tasks[s.judgement].push_back(s.task);
    begun = begun || s.over > 0;
  }
  const auto count = [&](Judgement judgement) { return tasks[judgement].size(); };
  const std::size_t all = column.primaries, open = count(Judgement::not_run);
  const std::size_t holds = column.holds = count(Judgement::holds), against = count(Judgement::contradicted);
  column.status = all == 0                   ? Status::not_asked
                  : open == all && !begun    ? Status::not_run
                  : open > 0                 ? Status::unfinished
                  : holds == all             ? Status::reproduced
                  : holds > 0 && against > 0 ? Status::mixed
                  : holds > 0                ? Status::partly
                  : against > 0              ? Status::contradicted
                                             : Status::undecided;
  std::string on;  // which tasks say what
  for (const Judgement judgement : {Judgement::holds, Judgement::contradicted, Judgement::undecided}) {
    if (count(judgement) == 0) continue;
    on += (on.empty() ? "" : "; ") + std::string(text_of(judgement)) + " on " + list_of(tasks[judgement]);
    if (judgement == Judgement::holds && holds < all)
      on += " (" + std::to_string(holds) + " of " + count_text(all, "task") + ")";
  }
  // "contradicted: contradicted on ..." would say it twice.
  if (column.status == Status::contradicted || column.status == Status::undecided)
    column.words = on;
  else
    column.words = text_of(column.status) + (on.empty() ? "" : ": " + on);
  if (column.status == Status::unfinished)
    column.words += (on.empty() ? ": " : "; ") + std::to_string(all - open) + " of " +
                    count_text(all, "task") + " judged so far";
  for (const std::string& one : nothing) column.words += "; " + one;
  return column;
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

// ---- One prediction

Judgement judge(const Prediction& p, const Interval& t) {
  if (std::isnan(t.low) || std::isnan(t.high)) return Judgement::undecided;
  switch (p.direction) {
    case Direction::lower:
      if (t.high < -p.margin) return Judgement::holds;
      if (t.low > -p.margin) return Judgement::contradicted;
      return Judgement::undecided;
    case Direction::higher:
      if (t.low > p.margin) return Judgement::holds;
      if (t.high < p.margin) return Judgement::contradicted;
      return Judgement::undecided;
    case Direction::near:
      if (-p.margin < t.low && t.high < p.margin) return Judgement::holds;
      if (t.low > p.margin || t.high < -p.margin) return Judgement::contradicted;
      return Judgement::undecided;
  }
  return Judgement::undecided;
}

PValue p_value(const Prediction& p, double effect, double error, std::int64_t degrees) {
  const auto above = [&](double boundary) { return p_above(effect, error, degrees, boundary); };
  const auto below = [&](double boundary) { return p_above(-effect, error, degrees, -boundary); };
  double holds = 0, contradicted = 0;
  switch (p.direction) {
    case Direction::lower:
      holds = 2 * below(-p.margin);
      contradicted = 2 * above(-p.margin);
      break;
    case Direction::higher:
      holds = 2 * above(p.margin);
      contradicted = 2 * below(p.margin);
      break;
    case Direction::near:
      holds = 2 * std::max(above(-p.margin), below(p.margin));
      contradicted = 2 * std::min(below(-p.margin), above(p.margin));
      break;
  }
  if (std::isnan(holds) || std::isnan(contradicted)) return {std::nan(""), Judgement::undecided};
  const double smaller = std::min(holds, contradicted);
  if (smaller >= 1) return {1, Judgement::undecided};
  return {smaller, holds < contradicted ? Judgement::holds : Judgement::contradicted};
}

// ---- All predictions together

Family judge_together(const std::vector<PredictionSummary*>& predictions) {
  for (PredictionSummary* s : predictions) {
    s->adjusted = std::nan("");
    s->judgement = !s->nothing.empty()                     ? Judgement::says_nothing
                   : !s->finished                          ? Judgement::not_run
                   : s->prediction.role == Role::secondary ? Judgement::shown
                   : s->prediction.role == Role::check     ? judge(s->prediction, s->t)
                                                           : Judgement::undecided;
  }
  std::vector<PredictionSummary*> primaries;
  std::vector<double> p;
  for (PredictionSummary* s : predictions) {
    if (!decides(*s)) continue;
    primaries.push_back(s);
    // One that is not finished counts as 1, as what has no p does: when it comes, its p is no larger, and
    // then no other's corrected p gets larger. So a later result cannot undo an earlier verdict.
    p.push_back(s->finished ? s->p : 1);
  }
  const std::vector<double> adjusted = holm(p);
  for (std::size_t i = 0; i < primaries.size(); ++i) {
    PredictionSummary& s = *primaries[i];
    if (!s.finished || std::isnan(s.p)) continue;
    s.adjusted = adjusted[i];
    if (s.adjusted < level) s.judgement = s.tends;
  }
  for (PredictionSummary* s : predictions) {
    s->words = text_of(s->judgement, s->prediction.role);
    if (s->judgement == Judgement::says_nothing)
      s->words +=
          ": '" + s->prediction.arm + "' does what '" + s->prediction.against + "' does: " + s->nothing;
    else if (!s->finished && !s->notes.empty())
      s->words = s->notes;
    else if (!s->notes.empty())
      s->words += (s->words.empty() ? "" : "; ") + s->notes;
  }
  return family_among({predictions.begin(), predictions.end()});
}

std::vector<Summary> judged(std::vector<Summary> summaries) {
  std::vector<PredictionSummary*> all;
  for (Summary& summary : summaries)
    for (PredictionSummary& s : summary.predictions) all.push_back(&s);
  judge_together(all);
  return summaries;
}

Family family_of(const std::vector<Summary>& summaries) {
  std::vector<const PredictionSummary*> all;
  for (const Summary& summary : summaries)
    for (const PredictionSummary& s : summary.predictions) all.push_back(&s);
  return family_among(all);
}

Family family_of(const std::vector<PredictionSummary>& theory) {
  std::vector<const PredictionSummary*> all;
  for (const PredictionSummary& s : theory) all.push_back(&s);
  return family_among(all);
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
        fail(summary.plan->path + ": claim '" + claim.id + "'", "'" + claim.says + "'",
             "'" + same->claim.says + "'", "two plans say it differently");
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
                                                                       : list_of(afterwards)) +
        " has a role in its plan: roles were given afterwards, by a rule that was written down "
        "before it was applied. Measures of the spectrum of W are checks, the first other prediction "
        "of each claim is its primary, all others are secondary. The predictions themselves stood "
        "in the plans before the runs.");
  return lines;
}

// ---- Words

const char* text_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::holds:
      return "holds";
    case Judgement::contradicted:
      return "contradicted";
    case Judgement::undecided:
      return "undecided";
    case Judgement::not_run:
      return "not run yet";
    case Judgement::says_nothing:
      return "says nothing";
    case Judgement::shown:
      return "";
  }
  return "";
}

const char* text_of(Judgement judgement, Role role) {
  if (role == Role::check && judgement == Judgement::holds) return "as built";
  if (role == Role::check && judgement == Judgement::contradicted) return "not as built";
  return text_of(judgement);
}

const char* text_of(Role role) {
  switch (role) {
    case Role::primary:
      return "primary";
    case Role::check:
      return "check";
    case Role::secondary:
      return "secondary";
  }
  return "";
}

const char* text_of(ClaimSummary::Status status) {
  using Status = ClaimSummary::Status;
  switch (status) {
    case Status::reproduced:
      return "reproduced";
    case Status::partly:
      return "in part";
    case Status::mixed:
      return "mixed";
    case Status::contradicted:
      return "contradicted";
    case Status::undecided:
      return "undecided";
    case Status::unfinished:
      return "not finished";
    case Status::not_run:
      return "not run yet";
    case Status::not_asked:
      return "not asked";
  }
  return "";
}

std::string p_text(double p) {
  if (std::isnan(p)) return "-";
  if (p < 1e-4) return "<0.0001";
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", p);
  return text;
}

}  // namespace ef
