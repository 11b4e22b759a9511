// What the results of a plan say: tables, verdicts on predictions, and what these say of claims.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "engine/error.h"
#include "train/experiment/experiment.h"
#include "train/plot/figure.h"

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

// Four significant digits, and no exponents where a person would write none.
std::string short_text(double x) {
  if (std::isnan(x)) return "-";
  char text[48];
  const double size = std::fabs(x);
  std::snprintf(text, sizeof text, size >= 1000 && size < 1e6 ? "%.0f" : "%.4g", x);
  return text;
}

// Appended, not added: of + here, g++ 12 warns of an overlap that cannot be.
std::string signed_text(double x) {
  std::string text = x > 0 ? "+" : "";
  return text += short_text(x);
}

std::string interval_text(const Interval& interval) {
  if (std::isnan(interval.low)) return "-";
  std::string text = "[";
  return text.append(signed_text(interval.low)).append(", ").append(signed_text(interval.high)).append("]");
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
  const auto of_text = [](const std::string& measure) {
    return measure.starts_with("attn.") || measure.starts_with("resid.");
  };
  bool asked = std::any_of(plan.measures.begin(), plan.measures.end(), of_text);
  for (const Prediction& p : plan.predictions) asked = asked || of_text(p.measure);
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

std::string count_text(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

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

// ---- As text

namespace {

using Rows = std::vector<std::vector<std::string>>;

// UTF-8 is not needed here: names of arms are printed as they are.
std::string aligned(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - row[i].size(), ' ');
      line += i == 0 ? row[i] + space : "  " + space + row[i];
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string markdown(const Rows& rows) {
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    text += "|";
    for (const std::string& cell : rows[r]) {
      text += " ";
      for (const char c : cell) {
        if (c == '|')
          text += "\\|";
        else if (c == '<')
          text += "&lt;";
        else
          text += c == '\n' ? ' ' : c;
      }
      text += " |";
    }
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (std::size_t i = 0; i < rows[r].size(); ++i) text += i == 0 ? "---|" : "---:|";
    text += "\n";
  }
  return text;
}

Rows arm_rows(const Summary& summary, std::size_t measure) {
  Rows rows = {{"arm", "n", "mean", "s.e.", "difference", "95 % t interval", "bootstrap"}};
  for (const ArmSummary& arm : summary.arms) {
    const MeasureSummary& m = arm.measures[measure];
    std::string name = arm.arm + (arm.arm == summary.plan->baseline ? " (baseline)" : "");
    if (arm.failed > 0) name += " (" + std::to_string(arm.failed) + " failed)";
    rows.push_back({name, std::to_string(m.values.size()), short_text(m.mean), short_text(m.standard_error),
                    m.differences.empty() ? "" : signed_text(m.effect),
                    m.differences.empty() ? "" : interval_text(m.t),
                    m.differences.empty() ? "" : interval_text(m.bootstrap)});
  }
  return rows;
}

// Those of a summary, or of theory: primaries first, then checks, then secondary ones.
std::vector<const PredictionSummary*> by_role(const std::vector<PredictionSummary>& all) {
  std::vector<const PredictionSummary*> sorted;
  for (const PredictionSummary& s : all) sorted.push_back(&s);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](auto* a, auto* b) { return a->prediction.role < b->prediction.role; });
  return sorted;
}

Rows prediction_rows(const Summary& summary) {
  Rows rows = {{"role", "prediction", "measure", "arm", "against", "predicted", "n", "difference",
                "95 % t interval", "p", "p, Holm", "verdict"}};
  for (const PredictionSummary* p : by_role(summary.predictions)) {
    const Prediction& q = p->prediction;
    const bool primary = q.role == Prediction::Role::primary;
    rows.push_back({text_of(q.role), q.says, q.measure, q.arm, q.against, relation_text(q),
                    std::to_string(p->differences.size()), signed_text(p->effect), interval_text(p->t),
                    primary ? p_text(p->p) : "", primary ? p_text(p->adjusted) : "", p->words});
  }
  return rows;
}

// All primaries, of plans and of theory: what claims are judged by.
Rows primary_rows(const std::vector<Summary>& summaries, const std::vector<PredictionSummary>& theory) {
  Rows rows = {{"task", "claim", "primary prediction", "measure", "rests on", "difference", "95 % t interval",
                "p", "p, Holm", "verdict"}};
  const auto take = [&](const std::vector<PredictionSummary>& all) {
    for (const PredictionSummary& p : all) {
      if (p.prediction.role != Prediction::Role::primary) continue;
      rows.push_back({p.task, p.prediction.claim, p.prediction.says, p.prediction.measure, p.evidence,
                      signed_text(p.effect), interval_text(p.t), p_text(p.p), p_text(p.adjusted), p.words});
    }
  };
  for (const Summary& summary : summaries) take(summary.predictions);
  take(theory);
  return rows;
}

std::string holding_text(const ClaimSummary::Column& column) {
  if (column.primaries == 0) return "-";
  return std::to_string(column.holds) + " of " + std::to_string(column.primaries);
}

// The claims at one glance.
Rows claim_rows(const std::vector<ClaimSummary>& claims, bool with_theory) {
  Rows rows = {{"claim", "training", "primaries that hold"}};
  if (with_theory) rows = {{"claim", "training", "theory", "primaries that hold", "of theory"}};
  for (const ClaimSummary& c : claims) {
    std::vector<std::string>& row = rows.emplace_back();
    row = {c.claim.id + " (" + c.claim.source + ")", text_of(c.training.status)};
    if (with_theory) row.emplace_back(text_of(c.theory.status));
    row.push_back(holding_text(c.training));
    if (with_theory) row.push_back(holding_text(c.theory));
  }
  return rows;
}

std::string csv_number(double x) { return std::isfinite(x) ? number_text(x) : ""; }

}  // namespace

std::string summary_text(const std::vector<Summary>& summaries,
                         const std::vector<PredictionSummary>& theory) {
  std::string text;
  for (const Summary& summary : judged(summaries)) {
    const Plan& plan = *summary.plan;
    text += "==== " + plan.name + ": " + budget_text(plan) + "\n";
    if (!plan.about.empty()) text += plan.about + "\n";
    if (summary.finished == 0) {
      text += "\n" + not_run_text(plan) + "\n\n";
      continue;
    }
    if (!summary.arms.empty()) {
      for (std::size_t i = 0; i < summary.arms.front().measures.size(); ++i)
        text += "\n" + summary.arms.front().measures[i].measure + "\n" + aligned(arm_rows(summary, i));
    }
    text += "\n";
    for (const PredictionSummary* p : by_role(summary.predictions)) {
      const Prediction& q = p->prediction;
      text += std::string(text_of(q.role)) + ": " + q.says + "\n    " + q.measure + ": '" + q.arm + "' " +
              relation_text(q) + " against '" + q.against + "': " + signed_text(p->effect) + " " +
              interval_text(p->t) + ", n = " + std::to_string(p->differences.size());
      if (q.role == Prediction::Role::primary && !std::isnan(p->p))
        text += ", p " + p_text(p->p) + " (Holm " + p_text(p->adjusted) + ")";
      text += (p->words.empty() ? "" : ": " + p->words) + "\n";
    }
    if (!summary.predictions.empty()) text += "\n";
    for (const std::string& line : remarks(summary)) text += line + "\n";
    text += "\n";
  }
  const std::vector<ClaimSummary> claims = judge_claims(summaries, theory);
  for (const ClaimSummary& c : claims) {
    text += "claim " + c.claim.id + " (" + c.claim.source + "): " + c.claim.says +
            "\n    training: " + c.training.words + "\n";
    if (!theory.empty()) text += "    theory: " + c.theory.words + "\n";
  }
  if (!claims.empty()) text += "\n";
  for (const std::string& line : rules(summaries, theory)) text += line + "\n";
  // What is read first stands last: a terminal shows the end.
  if (!claims.empty()) text += "\n" + aligned(claim_rows(claims, !theory.empty()));
  return text;
}

std::string summary_markdown(const std::vector<Summary>& given,
                             const std::vector<PredictionSummary>& of_theory) {
  std::string text;
  const std::vector<Summary> summaries = judged(given);
  std::vector<PredictionSummary> theory = of_theory;
  std::vector<PredictionSummary*> all;
  for (PredictionSummary& p : theory) all.push_back(&p);
  judge_together(all);
  const std::vector<ClaimSummary> claims = judge_claims(summaries, theory);
  if (!claims.empty()) {
    text += markdown(claim_rows(claims, !theory.empty())) + "\n";
    Rows rows = {{"claim", "source", "training"}};
    if (!theory.empty()) rows[0].emplace_back("theory");
    for (const ClaimSummary& c : claims) {
      rows.push_back({c.claim.says, c.claim.source, c.training.words});
      if (!theory.empty()) rows.back().push_back(c.theory.words);
    }
    text += markdown(rows) + "\n";
    for (const std::string& line : rules(summaries, theory)) text += "- " + line + "\n";
    text += "\n## Primary predictions\n\n" + markdown(primary_rows(summaries, theory)) + "\n";
  }
  for (const Summary& summary : summaries) {
    const Plan& plan = *summary.plan;
    text += "## " + plan.name + "\n\n" + (plan.about.empty() ? "" : plan.about + "\n\n") +
            "Budget: " + budget_text(plan) + ".\n\n";
    if (summary.finished == 0) {
      text += not_run_text(plan) + "\n\n";
      continue;
    }
    if (!summary.predictions.empty()) text += markdown(prediction_rows(summary)) + "\n";
    if (!summary.arms.empty()) {
      for (std::size_t i = 0; i < summary.arms.front().measures.size(); ++i)
        text += "### " + summary.arms.front().measures[i].measure + "\n\n" + markdown(arm_rows(summary, i)) +
                "\n";
    }
    for (const std::string& line : remarks(summary)) text += "- " + line + "\n";
    text += "\n";
  }
  return text;
}

std::string summary_csv(const std::vector<Summary>& summaries) {
  std::string text =
      "plan,arm,measure,n,failed,mean,standard_error,pairs,difference,t_low,t_high,bootstrap_low,bootstrap_"
      "high\n";
  for (const Summary& summary : summaries) {
    if (summary.finished == 0) continue;
    for (const ArmSummary& arm : summary.arms) {
      for (const MeasureSummary& m : arm.measures) {
        text += csv_field(summary.plan->name) + "," + csv_field(arm.arm) + "," + csv_field(m.measure) + "," +
                std::to_string(m.values.size()) + "," + std::to_string(arm.failed) + "," +
                csv_number(m.mean) + "," + csv_number(m.standard_error) + "," +
                std::to_string(m.differences.size()) + "," + csv_number(m.effect) + "," +
                csv_number(m.t.low) + "," + csv_number(m.t.high) + "," + csv_number(m.bootstrap.low) + "," +
                csv_number(m.bootstrap.high) + "\n";
      }
    }
  }
  return text;
}

}  // namespace ef
