// What the results of a plan say: tables, verdicts on predictions, and what these say of claims.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

#include "engine/error.h"
#include "train/experiment.h"
#include "train/svg.h"

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

std::string signed_text(double x) { return (x > 0 ? "+" : "") + short_text(x); }

std::string interval_text(const Interval& interval) {
  if (std::isnan(interval.low)) return "-";
  return "[" + signed_text(interval.low) + ", " + signed_text(interval.high) + "]";
}

PredictionSummary judge_prediction(const Plan& plan, const Prediction& p,
                                   const std::vector<RunResult>& results, bool hidden) {
  PredictionSummary s;
  s.prediction = p;
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
  if (!hidden)
    s.differences =
        paired_differences(values_of(results, p.arm, p.measure), values_of(results, p.against, p.measure));
  s.effect = mean(s.differences);
  s.t = t_interval(s.differences);
  s.bootstrap = bootstrap_interval(s.differences);
  const std::size_t n = s.differences.size();
  s.evidence = count_text(n, "pair");
  s.command = command_of(plan);
  if (hidden || s.over < s.planned) {
    s.judgement = Judgement::not_run;
    s.words = text_of(s.judgement);
    if (s.over > 0)
      s.words = "not finished: " + std::to_string(s.over) + " of " + count_text(s.planned, "pair") +
                (hidden ? ", shown when all runs are there" : "");
    return s;
  }
  s.judgement = n < 2 ? Judgement::undecided : judge(p, s.t);
  s.words = text_of(s.judgement);
  if (n < 2) s.words += ": fewer than two pairs";
  if (s.failed > 0) s.words += "; " + count_text(s.failed, "pair") + " left out, as a run failed";
  if (n + s.failed < s.planned)
    s.words += "; " + count_text(s.planned - s.failed - n, "pair") + " without the measure";
  return s;
}

}  // namespace

Judgement judge(const Prediction& p, const Interval& t) {
  if (std::isnan(t.low) || std::isnan(t.high)) return Judgement::undecided;
  switch (p.direction) {
    case Prediction::Direction::lower:
      if (t.high < -p.margin) return Judgement::holds;
      if (t.low > -p.margin) return Judgement::contradicted;
      return Judgement::undecided;
    case Prediction::Direction::higher:
      if (t.low > p.margin) return Judgement::holds;
      if (t.high < p.margin) return Judgement::contradicted;
      return Judgement::undecided;
    case Prediction::Direction::near:
      if (-p.margin < t.low && t.high < p.margin) return Judgement::holds;
      if (t.low > p.margin || t.high < -p.margin) return Judgement::contradicted;
      return Judgement::undecided;
  }
  return Judgement::undecided;
}

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
    summary.predictions.push_back(judge_prediction(plan, p, results, hidden));
  }
  return summary;
}

std::string command_of(const Plan& plan) {
  const std::string command = "build/bin/experiment " + plan.path;
  return plan.with.empty() ? command : command + " --results FOLDER --with '" + plan.with + "'";
}

std::vector<ClaimSummary> judge_claims(const std::vector<Summary>& summaries,
                                       const std::vector<PredictionSummary>& others) {
  using Status = ClaimSummary::Status;
  std::vector<ClaimSummary> claims;
  const auto take = [&](const std::vector<PredictionSummary>& predictions) {
    for (const PredictionSummary& p : predictions) {
      for (ClaimSummary& c : claims)
        if (c.claim.id == p.prediction.claim) c.predictions.push_back(&p);
    }
  };
  for (const Summary& summary : summaries) {
    for (const Statement& claim : summary.plan->claims) {
      const auto same = std::find_if(claims.begin(), claims.end(),
                                     [&](const ClaimSummary& c) { return c.claim.id == claim.id; });
      if (same == claims.end())
        claims.push_back({claim, Status::not_run, {}, ""});
      else if (same->claim.says != claim.says || same->claim.source != claim.source)
        fail(summary.plan->path + ": claim '" + claim.id + "'", "'" + claim.says + "'",
             "'" + same->claim.says + "'", "two plans say it differently");
    }
    take(summary.predictions);
  }
  take(others);
  std::stable_partition(claims.begin(), claims.end(),
                        [](const ClaimSummary& c) { return c.claim.source == "paper"; });
  for (ClaimSummary& c : claims) {
    std::map<Judgement, std::vector<std::string>> said;
    for (const PredictionSummary* p : c.predictions) said[p->judgement].push_back(p->prediction.says);
    const auto count = [&](Judgement verdict) { return said[verdict].size(); };
    const auto list = [&](Judgement verdict) {
      std::string text;
      for (const std::string& says : said[verdict]) text += (text.empty() ? "\"" : "; \"") + says + "\"";
      return text;
    };
    const std::size_t all = c.predictions.size(), open = count(Judgement::not_run);
    const bool begun = std::any_of(c.predictions.begin(), c.predictions.end(),
                                   [](const PredictionSummary* p) { return p->over > 0; });
    if (open == all && !begun)
      c.status = Status::not_run;
    else if (open > 0)
      c.status = Status::unfinished;
    else if (count(Judgement::holds) == all)
      c.status = Status::reproduced;
    else if (count(Judgement::undecided) == all)
      c.status = Status::undecided;
    else
      c.status = count(Judgement::holds) > 0 ? Status::partly : Status::not_reproduced;

    c.words = text_of(c.status);
    if (open > 0)
      c.words +=
          ": " + std::to_string(all - open) + " of " + count_text(all, "prediction") + " judged so far";
    if (all == 0) c.words += ": no prediction speaks of it";
    if (c.status == Status::reproduced)
      c.words += all == 1 ? std::string(": its prediction holds")
                          : ": all " + std::to_string(all) + " predictions hold";
    if (c.status == Status::undecided)
      c.words += all == 1 ? std::string(": its prediction") : ": all " + std::to_string(all) + " predictions";
    if (c.status == Status::partly || c.status == Status::not_reproduced || c.status == Status::unfinished) {
      for (const Judgement verdict : {Judgement::holds, Judgement::contradicted, Judgement::undecided}) {
        if (count(verdict) > 0) c.words += std::string("; ") + text_of(verdict) + ": " + list(verdict);
      }
    }
  }
  return claims;
}

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
  }
  return "";
}

const char* text_of(ClaimSummary::Status status) {
  switch (status) {
    case ClaimSummary::Status::reproduced:
      return "reproduced";
    case ClaimSummary::Status::partly:
      return "reproduced under these conditions";
    case ClaimSummary::Status::not_reproduced:
      return "not reproduced";
    case ClaimSummary::Status::undecided:
      return "undecided";
    case ClaimSummary::Status::unfinished:
      return "not finished";
    case ClaimSummary::Status::not_run:
      return "not run yet";
  }
  return "";
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
                    "', paired by seed; verdicts are by the t interval of the differences. A percentile "
                    "bootstrap, as the tables in text have it, is too narrow for few seeds.");
  if (plan.seeds.size() > 1 && plan.predictions.size() > 1)
    lines.push_back("Each of the " + std::to_string(plan.predictions.size()) +
                    " intervals misses with 5 %; they are not corrected for their number.");
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

Rows prediction_rows(const Summary& summary) {
  Rows rows = {{"prediction", "measure", "arm", "against", "predicted", "n", "difference", "95 % t interval",
                "verdict"}};
  for (const PredictionSummary& p : summary.predictions) {
    rows.push_back({p.prediction.says, p.prediction.measure, p.prediction.arm, p.prediction.against,
                    relation_text(p.prediction), std::to_string(p.differences.size()), signed_text(p.effect),
                    interval_text(p.t), p.words});
  }
  return rows;
}

std::string csv_number(double x) { return std::isfinite(x) ? number_text(x) : ""; }

}  // namespace

std::string summary_text(const std::vector<Summary>& summaries,
                         const std::vector<PredictionSummary>& others) {
  std::string text;
  for (const Summary& summary : summaries) {
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
    for (const PredictionSummary& p : summary.predictions) {
      const Prediction& q = p.prediction;
      text += q.says + "\n    " + q.measure + ": '" + q.arm + "' " + relation_text(q) + " against '" +
              q.against + "': " + signed_text(p.effect) + " " + interval_text(p.t) +
              ", n = " + std::to_string(p.differences.size()) + ": " + p.words + "\n";
    }
    if (!summary.predictions.empty()) text += "\n";
    for (const std::string& line : remarks(summary)) text += line + "\n";
    text += "\n";
  }
  for (const ClaimSummary& c : judge_claims(summaries, others))
    text += "claim " + c.claim.id + " (" + c.claim.source + "): " + c.claim.says + "\n    " + c.words + "\n";
  return text;
}

std::string summary_markdown(const std::vector<Summary>& summaries,
                             const std::vector<PredictionSummary>& others) {
  std::string text;
  const std::vector<ClaimSummary> claims = judge_claims(summaries, others);
  if (!claims.empty()) {
    Rows rows = {{"claim", "source", "verdict"}};
    for (const ClaimSummary& c : claims) rows.push_back({c.claim.says, c.claim.source, c.words});
    text += markdown(rows) + "\n";
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
