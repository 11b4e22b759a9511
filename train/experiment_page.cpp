#include "train/experiment_page.h"

#include <algorithm>
#include <map>
#include <set>

#include "train/experiment_figures.h"
#include "train/localize_results.h"

namespace ef {
namespace {

// ---- Claims

Claim::Verdict verdict_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::holds:
      return Claim::Verdict::reproduced;
    case Judgement::contradicted:
      return Claim::Verdict::not_reproduced;
    case Judgement::undecided:
      return Claim::Verdict::undecided;
    case Judgement::not_run:
      return Claim::Verdict::not_run;
  }
  return Claim::Verdict::not_run;
}

Claim::Verdict verdict_of(ClaimSummary::Status status) {
  switch (status) {
    case ClaimSummary::Status::reproduced:
      return Claim::Verdict::reproduced;
    case ClaimSummary::Status::partly:
      return Claim::Verdict::under_conditions;
    case ClaimSummary::Status::not_reproduced:
      return Claim::Verdict::not_reproduced;
    case ClaimSummary::Status::undecided:
      return Claim::Verdict::undecided;
    case ClaimSummary::Status::unfinished:
      return Claim::Verdict::unfinished;
    case ClaimSummary::Status::not_run:
      return Claim::Verdict::not_run;
  }
  return Claim::Verdict::not_run;
}

const std::string ours = "this project", authors = "Bao, Hataya and Karakida 2024";

// "Validation loss, a against b: lower predicted; 5 pairs"
std::string told(const PredictionSummary& p) {
  const Prediction& q = p.prediction;
  std::string text = std::string(named(q.measure).title) + ", " + q.arm + " against " + q.against + ": " +
                     relation_text(q) + " predicted; ";
  // What the badge says is not told again.
  const std::string known = text_of(p.judgement);
  if (p.judgement == Judgement::not_run) return text + p.words;
  text += p.evidence;
  return p.words.size() > known.size() ? text + p.words.substr(known.size()) : text;
}

Claim::Verdict verdict_of(const PredictionSummary& p) {
  const bool begun = p.judgement == Judgement::not_run && p.over > 0;
  return begun ? Claim::Verdict::unfinished : verdict_of(p.judgement);
}

// "3 of 4 predictions hold; 1 is undecided"
std::string counts(const ClaimSummary& c) {
  std::map<std::string, std::size_t> number;
  for (const PredictionSummary* p : c.predictions)
    ++number[verdict_of(*p) == Claim::Verdict::unfinished ? "not finished" : text_of(p->judgement)];
  const std::size_t all = c.predictions.size(), holds = number["holds"];
  if (all == 0) return "No prediction speaks of it.";
  std::string text = std::to_string(holds) + " of " + count_text(all, "prediction");
  text += holds == 1 || all == 1 ? " holds" : " hold";
  for (const char* other : {"contradicted", "undecided", "not finished", "not run yet"}) {
    if (number[other] == 0) continue;
    text += "; " + std::to_string(number[other]) + (number[other] == 1 ? " is " : " are ") + other;
  }
  return text + ".";
}

// All verdicts at one glance.
std::string overview(const std::vector<Claim>& claims, bool theory) {
  Table table{.columns = {{"claim"}, {"verdict"}, {"predictions"}}, .sortable = false, .heads = false};
  for (const Claim& claim : claims) {
    Cell name(claim.text), verdict(words_of(claim.verdict));
    name.html = "<a href=\"#claim-" + slug(claim.id) + "\">" + escape_html(claim.text) + "</a>";
    if (claim.source == ours) name.html += " (" + claim.source + ")";
    verdict.html = badge(claim.verdict);
    table.rows.push_back({name, verdict, Cell(claim.reason)});
  }
  std::string rule =
      "A prediction says which measure of which arm is lower, higher or near, against which other. It "
      "holds if the whole 95 % interval is inside of what was predicted, is contradicted if the whole of "
      "it is outside, and is undecided otherwise. A claim is reproduced if all its predictions hold; under "
      "these conditions, if some do: they are the conditions, and the others are listed with them; not "
      "reproduced if none holds and one is contradicted at least. It is judged when all its runs are "
      "there. Predictions about training stand in the plans before the runs";
  rule += theory ? "; those about random walks repeat what was known." : ".";
  return show(table) + remark(rule);
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

PlanResults read_results(const Plan& plan, const std::string& results) {
  PlanResults p{&plan, load_results(plan, results), {}, results};
  p.summary = summarise(plan, p.results);
  return p;
}

std::vector<Claim> claims_of(const std::vector<PlanResults>& plans,
                             const std::vector<PredictionSummary>& others) {
  std::vector<Summary> summaries;
  for (const PlanResults& p : plans) summaries.push_back(p.summary);
  std::vector<Claim> claims;
  for (const ClaimSummary& c : judge_claims(summaries, others)) {
    Claim claim{.text = c.claim.says,
                .source = c.claim.source == "paper" ? authors : ours,
                .verdict = verdict_of(c.status),
                .reason = counts(c),
                .id = c.claim.id};
    std::set<std::string> commands;
    for (const PredictionSummary* p : c.predictions) {
      const Prediction& q = p->prediction;
      claim.predictions.push_back(
          {.text = q.says,
           .verdict = verdict_of(*p),
           .effect = p->effect,
           .low = p->t.low,
           .high = p->t.high,
           .unit = std::string_view(named(q.measure).unit).starts_with("nats") ? "nats" : "",
           .detail = told(*p)});
      commands.insert(p->command);
    }
    for (const std::string& line : commands) claim.command += (claim.command.empty() ? "" : "\n") + line;
    claims.push_back(std::move(claim));
  }
  return claims;
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

Page experiment_page(const std::vector<PlanResults>& plans, const std::string& theory) {
  Page page;
  std::string names;
  for (const PlanResults& p : plans) names += (names.empty() ? "" : ", ") + p.plan->name;
  page.title = names;
  page.lead = "What was predicted, what was measured, and what follows.";
  page.contents = plans.size() > 1 || !theory.empty();
  std::vector<PredictionSummary> of_theory;
  if (!theory.empty()) of_theory = localize_predictions(theory);
  const std::vector<Claim> claims = claims_of(plans, of_theory);
  const bool of_the_paper =
      std::any_of(claims.begin(), claims.end(), [](const Claim& c) { return c.source == authors; });
  if (of_the_paper)
    page.lead =
        "Self-attention Networks Localize When QK-eigenspectrum Concentrates (Bao, Hataya and Karakida, ICML "
        "2024): what it claims, what follows from that for runs on one computer, and what was measured. Its "
        "code was not published, and the regulariser and the formulas are our reading of its abstract.";
  if (!claims.empty()) {
    Section verdicts{"Verdicts", {Content(overview(claims, !theory.empty()))}};
    if (of_the_paper) verdicts.contents.emplace_back(words());
    verdicts.contents.emplace_back(page_command(plans, !theory.empty()));
    verdicts.contents.emplace_back(show(claims));
    page.sections.push_back(std::move(verdicts));
  }
  for (const PlanResults& p : plans) page.sections.push_back(section_of(p));
  if (!theory.empty()) {
    for (Section& section : localize_sections(theory)) page.sections.push_back(std::move(section));
  }
  return page;
}

}  // namespace ef
