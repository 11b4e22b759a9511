#include "train/evidence/verdict.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "train/text/text.h"

namespace ef {
namespace {

using Direction = Prediction::Direction;
using Role = Prediction::Role;

constexpr double level = 0.05;

bool decides(const PredictionSummary& s) {
  return s.prediction.role == Role::primary && s.judgement != Judgement::says_nothing;
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

}  // namespace

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

Family family_of(const std::vector<PredictionSummary>& theory) {
  std::vector<const PredictionSummary*> all;
  for (const PredictionSummary& s : theory) all.push_back(&s);
  return family_among(all);
}

// ---- A claim

ClaimSummary::Column column_of(const std::vector<PredictionSummary>& predictions) {
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
  column.judgement = all == 0                   ? Judgement::not_asked
                     : open == all && !begun    ? Judgement::not_run
                     : open > 0                 ? Judgement::unfinished
                     : holds == all             ? Judgement::holds
                     : holds > 0 && against > 0 ? Judgement::mixed
                     : holds > 0                ? Judgement::partly
                     : against > 0              ? Judgement::contradicted
                                                : Judgement::undecided;
  std::string on;  // which tasks say what
  for (const Judgement judgement : {Judgement::holds, Judgement::contradicted, Judgement::undecided}) {
    if (count(judgement) == 0) continue;
    on += (on.empty() ? "" : "; ") + std::string(text_of(judgement)) + " on " + enumeration(tasks[judgement]);
    if (judgement == Judgement::holds && holds < all)
      on += " (" + std::to_string(holds) + " of " + count_text(all, "task") + ")";
  }
  // "contradicted: contradicted on ..." would say it twice.
  if (column.judgement == Judgement::contradicted || column.judgement == Judgement::undecided)
    column.words = on;
  else
    column.words = claim_text(column.judgement) + (on.empty() ? "" : ": " + on);
  if (column.judgement == Judgement::unfinished)
    column.words += (on.empty() ? ": " : "; ") + std::to_string(all - open) + " of " +
                    count_text(all, "task") + " judged so far";
  for (const std::string& one : nothing) column.words += "; " + one;
  return column;
}

// ---- Words

std::string relation_text(const Prediction& p) {
  std::string text = p.direction == Prediction::Direction::lower    ? "lower"
                     : p.direction == Prediction::Direction::higher ? "higher"
                                                                    : "near";
  if (p.margin > 0)
    text += (p.direction == Prediction::Direction::near ? std::string(", within ")
                                                        : std::string(" by more than ")) +
            short_text(p.margin);
  return text;
}

const char* text_of(Judgement judgement) {
  if (judgement == Judgement::holds) return "holds";
  if (judgement == Judgement::shown) return "";
  return claim_text(judgement);
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

const char* claim_text(Judgement judgement) {
  switch (judgement) {
    case Judgement::holds:
      return "reproduced";
    case Judgement::partly:
      return "in part";
    case Judgement::mixed:
      return "mixed";
    case Judgement::contradicted:
      return "contradicted";
    case Judgement::undecided:
      return "undecided";
    case Judgement::unfinished:
      return "not finished";
    case Judgement::not_run:
      return "not run yet";
    case Judgement::not_asked:
      return "not asked";
    case Judgement::says_nothing:
      return "says nothing";
    case Judgement::shown:
      break;
  }
  return "";
}

}  // namespace ef
