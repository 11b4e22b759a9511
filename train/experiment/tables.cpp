// Summaries as text for a terminal, as Markdown, and as CSV.
#include <algorithm>
#include <cmath>

#include "train/experiment/summary.h"
#include "train/text/text.h"

namespace ef {
namespace {

std::string interval_text(const Interval& interval) {
  if (std::isnan(interval.low)) return "-";
  std::string text = "[";
  return text.append(signed_text(interval.low)).append(", ").append(signed_text(interval.high)).append("]");
}

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
    for (const std::string& cell : rows[r]) text.append(" ").append(escape_markdown(cell)).append(" |");
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
    row = {c.claim.id + " (" + c.claim.source + ")", claim_text(c.training.judgement)};
    if (with_theory) row.emplace_back(claim_text(c.theory.judgement));
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
    text.append("==== ").append(plan.name).append(": ").append(budget_text(plan)).append("\n");
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
    for (const std::string& line : rules(summaries, theory)) text += "- " + escape_markdown(line) + "\n";
    text += "\n## Primary predictions\n\n" + markdown(primary_rows(summaries, theory)) + "\n";
  }
  for (const Summary& summary : summaries) {
    const Plan& plan = *summary.plan;
    text += "## " + escape_markdown(plan.name) + "\n\n" +
            (plan.about.empty() ? "" : escape_markdown(plan.about) + "\n\n") +
            "Budget: " + escape_markdown(budget_text(plan)) + ".\n\n";
    if (summary.finished == 0) {
      text += escape_markdown(not_run_text(plan)) + "\n\n";
      continue;
    }
    if (!summary.predictions.empty()) text += markdown(prediction_rows(summary)) + "\n";
    if (!summary.arms.empty()) {
      for (std::size_t i = 0; i < summary.arms.front().measures.size(); ++i)
        text += "### " + escape_markdown(summary.arms.front().measures[i].measure) + "\n\n" +
                markdown(arm_rows(summary, i)) + "\n";
    }
    for (const std::string& line : remarks(summary)) text += "- " + escape_markdown(line) + "\n";
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
