#include "train/evidence/claims.h"

#include <algorithm>
#include <cmath>

#include "train/plot/page.h"

namespace ef {
namespace {

struct Look {
  const char *sign, *kind;  // kind: a class of train/plot/page_style.cpp
};

Look look_of(Judgement judgement) {
  switch (judgement) {
    case Judgement::holds:
      return {"✓", "yes"};
    case Judgement::partly:
      return {"◐", "partly"};
    case Judgement::mixed:
      return {"±", "partly"};
    case Judgement::contradicted:
      return {"✗", "no"};
    case Judgement::undecided:
    case Judgement::shown:
      return {"?", "open"};
    case Judgement::unfinished:
      return {"…", "open"};
    case Judgement::not_run:
      return {"–", "idle"};
    case Judgement::not_asked:
      return {"·", "idle"};
    case Judgement::says_nothing:
      return {"=", "idle"};
  }
  return {"", ""};
}

std::string badge(const std::string& words, const Look& look) {
  return std::string("<span class=\"badge ") + look.kind + "\"><span aria-hidden=\"true\">" + look.sign +
         "</span> " + words + "</span>";
}

}  // namespace

std::string badge(Judgement verdict) { return badge(claim_text(verdict), look_of(verdict)); }

namespace {

// "-0.0214 [-0.04, -0.0028] nats"
std::string effect_of(const Claim::Prediction& p) {
  if (!std::isfinite(p.effect)) return "–";
  std::string words = concise(p.effect, 3);
  if (std::isfinite(p.low) && std::isfinite(p.high))
    words += " [" + concise(p.low, 3) + ", " + concise(p.high, 3) + "]";
  return p.unit.empty() ? words : words + ' ' + p.unit;
}

// Those that are judged, with their verdicts, or those that are not. Columns that nobody fills are left out.
std::string predictions(const std::vector<Claim::Prediction>& all, bool judged) {
  using P = Claim::Prediction;
  const auto any = [&](std::string P::*text) {
    return std::any_of(all.begin(), all.end(),
                       [&](const P& p) { return p.judged == judged && !(p.*text).empty(); });
  };
  const bool tested = judged && any(&P::p), corrected = judged && any(&P::corrected);
  const bool evidence = any(&P::evidence);
  Table table{.columns = {{"prediction"}}, .sortable = false};
  if (judged) table.columns.push_back({"verdict"});
  table.columns.push_back({"effect [95 % interval]", true});
  if (tested) table.columns.push_back({"p", true});
  if (corrected) table.columns.push_back({"p, Holm", true, "corrected for the number of primaries"});
  if (evidence) table.columns.push_back({"rests on"});
  for (const P& p : all) {
    if (p.judged != judged) continue;
    std::vector<Cell>& row = table.rows.emplace_back();
    // What it is measured with stands below it: a column of its own would be narrow.
    row.emplace_back(p.detail.empty() ? p.text : p.text + " " + p.detail);
    if (!p.detail.empty())
      row.back().html = escape_html(p.text) + "<small>" + escape_html(p.detail) + "</small>";
    if (judged) {
      row.emplace_back(text_of(p.verdict));
      row.back().html = badge(text_of(p.verdict), look_of(p.verdict));
    }
    row.emplace_back(effect_of(p));
    if (tested) row.emplace_back(p.p);
    if (corrected) row.emplace_back(p.corrected);
    if (evidence) row.emplace_back(p.evidence);
  }
  return table.rows.empty() ? "" : show(table);
}

// The badge of a claim, with the name of what it is judged by where there are several.
std::string badges(const Claim& claim) {
  std::string html;
  for (const Claim::Finding& finding : claim.findings)
    html += "<span class=\"finding\">" + (finding.name.empty() ? "" : escape_html(finding.name) + " ") +
            badge(finding.verdict) + "</span>";
  return html;
}

}  // namespace

std::string show(const std::vector<Claim>& claims) {
  std::string html;
  for (const Claim& claim : claims) {
    html += "<article class=\"claim\" id=\"claim-" + slug(claim.id.empty() ? claim.text : claim.id) + "\">\n";
    html += "<div class=\"head\"><h3>" + with_code(claim.text) + "</h3>" + badges(claim) + "</div>\n";
    if (!claim.source.empty()) html += "<p class=\"source\">" + with_code(claim.source) + "</p>\n";
    for (const Claim::Finding& finding : claim.findings) html += prose(finding.reason);
    html += predictions(claim.predictions, true);
    const std::string others = predictions(claim.predictions, false);
    if (!others.empty()) html += folded("Secondary predictions: measured, not judged", others);
    if (!claim.command.empty()) html += commands(claim.command);
    html += "</article>\n";
  }
  return html;
}

}  // namespace ef
