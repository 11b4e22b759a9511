// What the results of a plan say: tables, verdicts on predictions, and what these say of claims.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "engine/error.h"
#include "train/experiment/summary.h"
#include "train/plot/figure.h"
#include "train/quantities.h"

namespace ef {
namespace {

using BySeed = std::map<std::uint64_t, double>;

// The measure in all runs of an arm that did not fail.
BySeed values_of(const std::vector<RunResult>& results, const std::string& arm, const std::string& measure) {
  BySeed values;
  for (const RunResult& result : results) {
    if (result.arm != arm || result.failed()) continue;
    if (const double value = result.figure(measure); !std::isnan(value)) values[result.seed] = value;
  }
  return values;
}

void add_once(std::vector<std::string>& list, const std::string& text) {
  if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

// What is known of a prediction by itself; judge_together() judges it.
PredictionSummary measured(const Plan& plan, const Prediction& p, const std::vector<RunResult>& results,
                           bool hidden) {
  PredictionSummary s;
  s.prediction = p;
  s.task = plan.name;
  s.planned = plan.seeds.size();
  for (const std::uint64_t seed : plan.seeds) {
    std::size_t ended = 0, failed = 0;
    for (const RunResult& result : results) {
      if (result.seed != seed || (result.arm != p.arm && result.arm != p.against)) continue;
      ++ended;
      if (result.failed()) ++failed;
    }
    if (ended == 2) ++s.over;
    if (ended == 2 && failed > 0) ++s.failed;
  }
  s.finished = s.over == s.planned && !hidden;
  if (!hidden)
    s.differences =
        paired_differences(values_of(results, p.arm, p.measure), values_of(results, p.against, p.measure));
  s.effect = mean(s.differences);
  s.t = t_interval(s.differences);
  s.bootstrap = bootstrap_interval(s.differences);
  const std::size_t n = s.differences.size();
  s.evidence = count_text(n, "pair");
  s.command = command_of(plan);
  // Seeds that are the same so far do not tell that the next one is: until all are there the prediction
  // counts as one that is not finished, or the number that Holm's correction is for could grow again.
  const std::string same = why_same(plan, p.arm, p.against, results);
  if (s.finished || same != "same bits") s.nothing = same;
  if (!s.finished) {
    if (s.over > 0)
      s.notes = "not finished: " + std::to_string(s.over) + " of " + count_text(s.planned, "pair") +
                (hidden ? ", shown when all runs are there" : "");
    return s;
  }
  if (s.nothing.empty()) {
    const auto [value, tends] =
        p_value(p, s.effect, standard_error(s.differences), static_cast<std::int64_t>(n) - 1);
    s.p = value;
    s.tends = tends;
  }
  const auto note = [&](const std::string& text) { s.notes += (s.notes.empty() ? "" : "; ") + text; };
  if (n < 2) note("fewer than two pairs");
  if (s.failed > 0) note(count_text(s.failed, "pair") + " left out, as a run failed");
  if (n + s.failed < s.planned) note(count_text(s.planned - s.failed - n, "pair") + " without the measure");
  return s;
}

// "Arm 'x': warning: ... (3 runs).", each text once for an arm.
std::vector<std::string> warning_lines(const Plan& plan, const std::vector<RunResult>& results) {
  std::vector<std::string> lines;
  for (const Arm& arm : plan.arms) {
    std::vector<std::string> texts;  // in the order in which they were said
    std::map<std::string, std::size_t> runs;
    for (const RunResult& result : results) {
      if (result.arm != arm.name) continue;
      for (const std::string& text : result.warnings) {
        add_once(texts, text);
        ++runs[text];
      }
    }
    for (const std::string& text : texts)
      lines.push_back("Arm '" + arm.name + "': warning: " + text + " (" + count_text(runs[text], "run") +
                      ").");
  }
  return lines;
}

// How much text the probes of attention and tokens have read: only few windows, and all that is said of them
// is said of these.
std::vector<std::string> window_lines(const Plan& plan, const std::vector<RunResult>& results) {
  bool asked = std::any_of(plan.measures.begin(), plan.measures.end(), is_read_from_text);
  for (const Prediction& p : plan.predictions) asked = asked || is_read_from_text(p.measure);
  std::map<Index, std::size_t> runs;
  for (const RunResult& result : results)
    if (!result.failed()) ++runs[result.windows];
  std::vector<std::string> lines;
  for (const auto& [windows, count] : runs) {
    if (windows == 0 && !asked) continue;
    std::string line = "Attention and tokens are read from ";
    if (windows > 0)
      line += count_text(static_cast<std::size_t>(windows), "window") + " of the validation text at the end";
    else
      line += "the first two validation windows only (an older version)";
    lines.push_back(line + (runs.size() > 1 ? ": " + count_text(count, "run") + "." : "."));
  }
  return lines;
}

// Each arm that does what one before it does.
std::vector<std::string> same_arm_lines(const Plan& plan, const std::vector<RunResult>& results) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < plan.arms.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const std::string why = why_same(plan, plan.arms[i].name, plan.arms[k].name, results);
      if (why.empty()) continue;
      lines.push_back("'" + plan.arms[i].name + "' does what '" + plan.arms[k].name + "' does: " + why);
      break;
    }
  }
  return lines;
}

}  // namespace

Summary summarise(const Plan& plan, const std::vector<RunResult>& results) {
  Summary summary;
  summary.plan = &plan;
  summary.planned = plan.arms.size() * plan.seeds.size();
  for (const RunResult& result : results) {
    ++summary.finished;
    add_once(summary.versions, result.version);
    add_once(summary.machines,
             result.processor + ", " + std::to_string(result.cores) + " cores, " + result.compiler);
    if (!result.failed()) continue;
    ++summary.failed;
    summary.failures.push_back(result.arm + ", seed " + std::to_string(result.seed) + ": " + result.failure);
  }
  std::vector<std::string> measures;
  const bool complete = summary.finished == summary.planned;
  for (const std::string& measure : plan.measures) {
    if (measure.starts_with("test.") && !complete)
      summary.test_hidden = true;
    else
      measures.push_back(measure);
  }
  for (const Arm& arm : plan.arms) {
    ArmSummary a;
    a.arm = arm.name;
    a.planned = plan.seeds.size();
    for (const RunResult& result : results) {
      if (result.arm != arm.name) continue;
      ++a.finished;
      if (result.failed()) ++a.failed;
    }
    for (const std::string& measure : measures) {
      MeasureSummary m;
      m.measure = measure;
      const BySeed values = values_of(results, arm.name, measure);
      for (const auto& [seed, value] : values) {
        m.seeds.push_back(seed);
        m.values.push_back(value);
      }
      m.mean = mean(m.values);
      m.standard_error = standard_error(m.values);
      if (arm.name != plan.baseline)
        m.differences = paired_differences(values, values_of(results, plan.baseline, measure));
      m.effect = mean(m.differences);
      m.t = t_interval(m.differences);
      m.bootstrap = bootstrap_interval(m.differences);
      a.measures.push_back(std::move(m));
    }
    summary.arms.push_back(std::move(a));
  }
  for (const Prediction& p : plan.predictions) {
    const bool hidden = p.measure.starts_with("test.") && !complete;
    summary.test_hidden = summary.test_hidden || hidden;
    summary.predictions.push_back(measured(plan, p, results, hidden));
  }
  summary.warnings = warning_lines(plan, results);
  summary.windows = window_lines(plan, results);
  summary.same_arms = same_arm_lines(plan, results);
  std::vector<PredictionSummary*> alone;
  for (PredictionSummary& s : summary.predictions) alone.push_back(&s);
  judge_together(alone);
  return summary;
}

std::string command_of(const Plan& plan) {
  const std::string command = "build/bin/experiment " + plan.path;
  return plan.with.empty() ? command : command + " --results FOLDER --with '" + plan.with + "'";
}

std::string budget_text(const Plan& plan) {
  return count_text(plan.arms.size(), "arm") + " x " + count_text(plan.seeds.size(), "seed") + " x " +
         grouped(static_cast<double>(plan.updates)) + " updates";
}

std::string not_run_text(const Plan& plan) {
  return plan.waits.empty() ? "Not run yet." : "Not run yet: " + plan.waits + ".";
}

std::vector<std::string> remarks(const Summary& summary) {
  const Plan& plan = *summary.plan;
  std::vector<std::string> lines;
  if (summary.finished < summary.planned)
    lines.push_back(std::to_string(summary.finished) + " of " + std::to_string(summary.planned) +
                    " runs are done: what stands here is not the end.");
  if (summary.test_hidden) lines.push_back("Figures of the test set are shown when all runs are done.");
  for (const std::string& failure : summary.failures)
    lines.push_back("Failed, and left out of all means: " + failure);
  if (plan.seeds.size() == 1)
    lines.push_back("One seed: differences are to the baseline '" + plan.baseline +
                    "', without an interval.");
  else
    lines.push_back("Differences are to the baseline '" + plan.baseline +
                    "', paired by seed, with 95 % t intervals. A percentile bootstrap, as the tables in text "
                    "have it, is too narrow for few seeds.");
  const auto secondary = static_cast<std::size_t>(
      std::count_if(plan.predictions.begin(), plan.predictions.end(),
                    [](const Prediction& p) { return p.role == Prediction::Role::secondary; }));
  if (plan.seeds.size() > 1 && secondary > 0)
    lines.push_back((secondary == 1 ? "The interval of its secondary prediction misses with 5 %."
                                    : "Each of the " + std::to_string(secondary) +
                                          " secondary intervals misses with 5 %; they are not corrected for "
                                          "their number."));
  for (const std::string& same : summary.same_arms)
    lines.push_back(same + ". A comparison of the two says nothing.");
  for (const std::string& warning : summary.warnings) lines.push_back(warning);
  for (const std::string& line : summary.windows) lines.push_back(line);
  std::string made;
  for (const std::string& one : summary.versions)
    made += (made.empty() ? "Made by eigenformer " : "; ") + one;
  for (const std::string& one : summary.machines)
    made += (&one == &summary.machines[0] ? " on " : "; ") + one;
  if (!made.empty()) lines.push_back(made + ".");
  return lines;
}

PlanResults read_results(const Plan& plan, const std::string& results) {
  PlanResults p{&plan, load_results(plan, results), {}, results};
  p.summary = summarise(plan, p.results);
  return p;
}

}  // namespace ef
