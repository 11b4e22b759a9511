#include "train/experiment/page.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "train/experiment/figures.h"
#include "train/quantities.h"

namespace ef {
namespace {

// ---- Claims

// As a badge shows it: of what is not run a badge tells whether it was begun, and what is only shown has
// none.
Judgement verdict_of(const PredictionSummary& p) {
  if (p.judgement == Judgement::not_run && p.over > 0) return Judgement::unfinished;
  return p.judgement == Judgement::shown ? Judgement::undecided : p.judgement;
}

const std::string ours = "this project", authors = "Bao, Hataya and Karakida 2024";

// "Validation loss, a against b: lower predicted; 1 pair left out, as a run failed"
std::string told(const PredictionSummary& p) {
  const Prediction& q = p.prediction;
  std::string text = named(q.measure).title + ", " + q.arm + " against " + q.against + ": " +
                     relation_text(q) + " predicted";
  // What the badge says is not told again.
  std::string more = p.words;
  const std::string known = text_of(p.judgement, q.role);
  if (more.starts_with(known)) more.erase(0, known.size());
  while (more.starts_with(";") || more.starts_with(":") || more.starts_with(" ")) more.erase(0, 1);
  return more.empty() ? text : text + "; " + more;
}

Claim::Prediction shown(const PredictionSummary& p) {
  const Prediction& q = p.prediction;
  const bool primary = q.role == Prediction::Role::primary;
  return {.text = q.says,
          .judged = primary,
          .verdict = verdict_of(p),
          .effect = p.effect,
          .low = p.t.low,
          .high = p.t.high,
          .unit = named(q.measure).unit.starts_with("nats") ? "nats" : "",
          .p = primary ? p_text(p.p) : "",
          .corrected = primary ? p_text(p.adjusted) : "",
          .evidence = p.evidence,
          .detail = told(p)};
}

// "2 of 5"
std::string holding(const ClaimSummary::Column& column) {
  if (column.primaries == 0) return "–";
  return std::to_string(column.holds) + " of " + std::to_string(column.primaries);
}

// All verdicts at one glance.
std::string overview(const std::vector<ClaimSummary>& claims, bool theory) {
  Table table{.columns = {{"claim"}, {"training"}}, .sortable = false, .heads = false};
  if (theory) table.columns.push_back({"theory"});
  table.columns.push_back({"primaries that hold"});
  if (theory) table.columns.push_back({"of theory"});
  for (const ClaimSummary& c : claims) {
    Cell name(c.claim.says);
    name.html = "<a href=\"#claim-" + slug(c.claim.id) + "\">" + escape_html(c.claim.says) + "</a>";
    if (c.claim.source != "paper") name.html += " (" + ours + ")";
    const auto verdict = [](const ClaimSummary::Column& column) {
      Cell cell(claim_text(column.judgement));
      cell.html = badge(column.judgement);
      return cell;
    };
    std::vector<Cell>& row = table.rows.emplace_back();
    row = {name, verdict(c.training)};
    if (theory) row.push_back(verdict(c.theory));
    row.emplace_back(holding(c.training));
    if (theory) row.emplace_back(holding(c.theory));
  }
  return show(table);
}

// What the regulariser does by construction: it speaks of no claim.
std::string checks(const std::vector<Summary>& summaries) {
  Table table{.columns = {{"check"},
                          {"as built?"},
                          {"effect [95 % t interval]", true},
                          {"rests on"},
                          {"measured with"}},
              .sortable = false};
  for (const Summary& summary : summaries) {
    for (const PredictionSummary& p : summary.predictions) {
      if (p.prediction.role != Prediction::Role::check) continue;
      std::string effect = std::isfinite(p.effect) ? concise(p.effect, 3) : "–";
      if (std::isfinite(p.t.low)) effect += " [" + concise(p.t.low, 3) + ", " + concise(p.t.high, 3) + "]";
      table.rows.push_back(
          {p.prediction.says, text_of(p.judgement, Prediction::Role::check), effect, p.evidence, told(p)});
    }
  }
  return table.rows.empty() ? "" : folded("Checks of the regulariser", show(table));
}

std::vector<ClaimSummary> judge_claims(const std::vector<PlanResults>& plans,
                                       const std::vector<PredictionSummary>& theory) {
  std::vector<Summary> summaries;
  for (const PlanResults& p : plans) summaries.push_back(p.summary);
  return ef::judge_claims(summaries, theory);
}

std::vector<Claim> claims_of(const std::vector<ClaimSummary>& summaries, bool theory) {
  std::vector<Claim> claims;
  for (const ClaimSummary& c : summaries) {
    const auto finding = [](const char* name, const ClaimSummary::Column& column) {
      const Judgement verdict = column.judgement;
      if (column.words == claim_text(verdict)) return Claim::Finding{name, verdict, ""};  // the badge says it
      std::string words = *name != 0 ? std::string("In ") + name + ": " + column.words : column.words;
      words[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(words[0])));
      return Claim::Finding{name, verdict, words + "."};
    };
    Claim claim{.text = c.claim.says,
                .source = c.claim.source == "paper" ? authors : ours,
                .findings = {finding(theory ? "training" : "", c.training)},
                .id = c.claim.id};
    if (theory) claim.findings.push_back(finding("theory", c.theory));
    std::set<std::string> commands;
    for (const PredictionSummary& p : c.predictions) {
      claim.predictions.push_back(shown(p));
      commands.insert(p.command);
    }
    for (const std::string& line : commands) claim.command += (claim.command.empty() ? "" : "\n") + line;
    claims.push_back(std::move(claim));
  }
  return claims;
}

// For claims of the paper: what its words and ours mean.
std::string words() {
  return folded(
      "What the words mean",
      prose(
          "W = W_Q W_Kᵀ is the query-key matrix of a head with k channels; logits of attention are x W xᵀ / "
          "√k, and biases where the layers have them. Attention is localised if few sites (positions) get "
          "most of it. LocAteR is the paper's regulariser as we read it: it adds to the loss, for each head, "
          "strength × scale + hold × (tr W − c)², where the scale is ‖W‖_F² unless another is named "
          "(`variance`, `trace`: tr W², `logit-variance`). c is 16 in an arm called target 16, the tr W that "
          "the model starts with for an initial mean, a moving average for a running one.\n\n"
          "Attention entropy is that of a row over its greatest possible. The last quarter is the share of "
          "the last quarter of the tokens that a row sees, .25 if it is uniform. The rank residual tells how "
          "far the tokens that leave a layer are from their mean, relative to their size. The largest logit "
          "is that of the sequences that probes read. Perplexities with context are of tokens that see 400 "
          "others at least.\n\n"
          "± is the standard error over seeds. Differences are between runs of one seed; intervals are 95 % "
          "t intervals of these."));
}

// The command of a plan, with the folder of its results where that is not the plan's own.
std::string command_with_results(const PlanResults& p) {
  const std::string command = command_of(*p.plan), placeholder = "FOLDER";
  if (p.folder.empty()) return command;
  const std::size_t at = command.find(placeholder);
  if (at == std::string::npos) return command + " --results " + p.folder;
  return std::string(command).replace(at, placeholder.size(), p.folder);
}

// What makes this page from the results, where one folder has them all.
std::string page_command(const std::vector<PlanResults>& plans, bool theory) {
  std::string paths, rest = " --summary --page report.html";
  for (const PlanResults& p : plans) {
    paths += " " + p.plan->path;
    if (p.folder != plans[0].folder || p.plan->with != plans[0].plan->with) return "";
  }
  if (!plans[0].folder.empty()) rest += " --results " + plans[0].folder;
  if (!plans[0].plan->with.empty()) rest += " --with '" + plans[0].plan->with + "'";
  if (theory) rest += " --theory runs/localize/localize.json";
  return commands(std::string("# this page, from the results that are there\nmake") +
                  (theory ? " && build/bin/localize --out runs/localize" : "") + "\nbuild/bin/experiment" +
                  paths + rest);
}

}  // namespace

std::vector<Claim> claims_of(const std::vector<PlanResults>& plans,
                             const std::vector<PredictionSummary>& theory) {
  return claims_of(judge_claims(plans, theory), !theory.empty());
}

Section section_of(const PlanResults& p) {
  Section section{.heading = p.plan->name};
  std::vector<Content>& contents = section.contents;
  if (!p.plan->about.empty()) contents.emplace_back(prose("The plan: " + p.plan->about));
  std::string budget = budget_text(*p.plan);
  for (std::size_t at = budget.find(" x "); at != std::string::npos; at = budget.find(" x ", at + 1))
    budget.replace(at, 3, " × ");
  contents.emplace_back(prose("Budget: " + budget + "."));
  if (p.results.empty()) {
    contents.emplace_back(prose(not_run_text(*p.plan)));
    contents.emplace_back(arm_options(*p.plan));
  } else {
    for (Content& content : figures_of(p)) contents.push_back(std::move(content));
  }
  std::string notes;
  for (const std::string& line : remarks(p.summary)) notes += line + "\n\n";
  if (!p.results.empty()) contents.emplace_back(remark(notes));
  const std::string command = command_with_results(p);
  contents.emplace_back(commands("# what its results say\n" + command + " --summary"));
  if (p.plan->waits.empty()) {
    contents.emplace_back(commands("# runs what has no result yet\n" + command));
    if (p.plan->with.empty() && p.folder.empty())
      contents.emplace_back(
          commands("# runs all of it again\n" + command + " --results runs/again --runs runs/again-runs"));
  }
  return section;
}

Page experiment_page(const std::vector<PlanResults>& plans, const Theory& theory) {
  Page page;
  std::string names;
  for (const PlanResults& p : plans) names += (names.empty() ? "" : ", ") + p.plan->name;
  page.title = names;
  page.lead = "What was predicted, what was measured, and what follows.";
  const bool with_theory = !theory.sections.empty();
  page.contents = plans.size() > 1 || with_theory;
  std::vector<Summary> summaries;
  for (const PlanResults& p : plans) summaries.push_back(p.summary);
  summaries = judged(std::move(summaries));
  const std::vector<ClaimSummary> claims = ef::judge_claims(summaries, theory.predictions);
  const bool of_the_paper = std::any_of(claims.begin(), claims.end(),
                                        [](const ClaimSummary& c) { return c.claim.source == "paper"; });
  if (of_the_paper)
    page.lead =
        "Self-attention Networks Localize When QK-eigenspectrum Concentrates (Bao, Hataya and Karakida, ICML "
        "2024): what it claims, what follows from that for runs on one computer, and what was measured. Its "
        "code was not published, and the regulariser and the formulas are our reading of its abstract.";
  if (!claims.empty()) {
    Section verdicts{"Verdicts", {Content(overview(claims, with_theory))}};
    std::string text;
    for (const std::string& rule : rules(summaries, theory.predictions)) text += rule + "\n\n";
    verdicts.contents.emplace_back(remark(text));
    if (of_the_paper) verdicts.contents.emplace_back(words());
    verdicts.contents.emplace_back(page_command(plans, with_theory));
    verdicts.contents.emplace_back(show(claims_of(claims, with_theory)));
    verdicts.contents.emplace_back(checks(summaries));
    page.sections.push_back(std::move(verdicts));
  }
  for (const PlanResults& p : plans) page.sections.push_back(section_of(p));
  page.sections.insert(page.sections.end(), theory.sections.begin(), theory.sections.end());
  return page;
}

}  // namespace ef
