// The page of localize: localize.json as sections.
#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "models/theory/localisation.h"
#include "train/files/json.h"
#include "train/localize/results.h"

namespace ef {
namespace {

using Json = nlohmann::ordered_json;

std::string number(const Json& value, int digits = 4) { return concise(value.get<double>(), digits); }

std::string title_of(const Json& c) {
  std::string text = std::string("tr W = ") + number(c.at("trace"));
  text += ", tr W² = " + number(c.at("trace_square"));
  if (c.at("frobenius_square") != c.at("trace_square"))
    text += ", ‖W‖_F² = " + number(c.at("frobenius_square"));
  return text;
}

std::string setting_of(const Json& c) {
  std::string text = std::string("T = ") + c.at("tokens").dump();
  text += " tokens, d = " + c.at("channels").dump() + " channels, λ = " + number(c.at("lambda")) + ", ";
  text += c.at("tokens_model") == "walk" ? "tokens as the walk leaves them" : "tokens divided by √t";
  return text + ", " + c.at("draws").dump() + " draws";
}

// How they were simulated, and what a reference among them is.
std::string settings_of(const Json& cases) {
  std::string text = setting_of(cases[0]) + ".";
  if (cases.dump().find("reference") == std::string::npos) return text;
  for (const Json& c : cases) {
    if (c.contains("reference_draws"))
      return text + " Reference: what seed 1 gave before, " + c.at("reference_draws").dump() + " draws.";
  }
  return text +
         " Reference: a separate simulation of the same set-up, made before this program, with fewer draws.";
}

// A paragraph a line; the signs that a terminal may not have as they should be.
std::string paragraphs(const std::string& lines) {
  std::string text;
  for (const char c : lines) text += c == '\n' ? std::string("\n\n") : std::string{c};
  const std::pair<std::string_view, std::string_view> signs[] = {
      {"+-", "±"}, {"->", "→"}, {"tr W^2", "tr W²"}, {"||W||_F^2", "‖W‖_F²"}};
  for (const auto& [plain, sign] : signs) {
    for (std::size_t at = text.find(plain); at != std::string::npos; at = text.find(plain, at + sign.size()))
      text.replace(at, plain.size(), sign);
  }
  return text;
}

const std::string command = "build/bin/localize";

// ---- rho

std::vector<ChartPoint> points(const Json& theta, const Json& values) {
  std::vector<ChartPoint> list;
  for (std::size_t i = 0; i < values.size(); ++i) list.push_back({theta[i], values[i]});
  return list;
}

Figure rho_chart(const Json& c) {
  LineChart chart{.id = "rho-trace-" + number(c.at("trace")) + "-square-" + number(c.at("trace_square")) +
                        (c.at("frobenius_square") != c.at("trace_square")
                             ? "-frobenius-" + number(c.at("frobenius_square"))
                             : ""),
                  .title = "ρ, " + title_of(c),
                  .x_label = "site θ = t / T; the query stands at 1",
                  .y_label = "P(token is active)",
                  .from_zero = true,
                  .x_scale = LineChart::Scale::linear,
                  .width = 430,
                  .height = 260};
  const Json& theta = c.at("theta");
  if (!c.at("formula").empty()) {
    chart.series.push_back({"formula, T tokens", 1, Series::Look::line, points(theta, c.at("formula"))});
    chart.series.push_back({"its limit, T → ∞", 0, Series::Look::dashed, points(theta, c.at("limit"))});
  }
  Series simulated{"simulated, ± 2 standard errors", 2, Series::Look::points,
                   points(theta, c.at("measured"))};
  for (std::size_t i = 0; i < theta.size(); ++i) {
    const double mean = c.at("measured").at(i), reach = 2 * c.at("standard_error").at(i).get<double>();
    simulated.spread.push_back({theta[i], std::max(0.0, mean - reach), std::min(1.0, mean + reach)});
  }
  simulated.bars = true;
  chart.series.push_back(simulated);
  if (c.contains("reference")) {
    Series reference{"reference", 4, Series::Look::points};
    for (const Json& point : c.at("reference"))
      reference.points.push_back({point.at("theta"), point.at("rho")});
    chart.series.push_back(reference);
  }
  chart.note = "Regime: " + c.at("regimes").at("surrogate").get<std::string>() + " under the surrogate, " +
               c.at("regimes").at("softmax").get<std::string>() + " under softmax.";
  return draw(chart);
}

Section rho_section(const Json& theory) {
  std::vector<Figure> charts;
  for (const Json& c : theory) charts.push_back(rho_chart(c));
  return {
      "Signal propagation probability",
      {prose("A query at the end of a random walk of T tokens; W is its head's query-key matrix. Softmax is "
             "replaced by the piecewise linear S_t = clip((1 + (w_t − mean w) / λ) / T, 0, 1), and ρ_t is "
             "the probability that token t is active, 0 < S_t < 1. These notions are the paper's (Bao, "
             "Hataya, Karakida 2024), in the form in which we read them; the formula is derived in this "
             "project. It takes the logits as normal, which they are only nearly: mean and variance are "
             "exact, so what is left between curve and points beyond the error bars is their shape."),
       remark(settings_of(theory)), Content(charts, true), commands(command)}};
}

// ---- Phase diagrams

Figure phase_diagram(const Json& d) {
  const double lambda = d.at("lambda"), channels = d.at("channels");
  HeatMap map{.title = d.at("tokens_model") == "walk" ? "Regimes, tokens of the walk"
                                                      : "Regimes, normalised tokens"};
  map.x.label = "tr W / λ";
  map.y.label = "tr W² / λ²";
  map.y.logarithmic = true;
  for (const Json& x : d.at("trace")) map.x.values.push_back(x.get<double>() / lambda);
  for (const Json& y : d.at("trace_square")) map.y.values.push_back(y.get<double>() / lambda / lambda);
  const int colours[] = {0, 2, 7, 1, 6, 5};
  std::string letters;
  for (const Regime regime : all_regimes) {
    const std::size_t i = static_cast<std::size_t>(regime);
    letters += letter(regime);
    map.categories.push_back({std::string{letter(regime)}, name(regime), colours[i]});
  }

  const double low = map.y.values.front(), high = map.y.values.back();
  const bool has_theory = d.contains("boundaries");
  std::vector<HeatMap::Curve> curves;
  const auto vertical = [&](const char* label, double x, int colour) {
    curves.push_back(
        {label, colour, Series::Look::dashed, {{x, std::max(low, x * x / channels)}, {x, high}}});
  };
  vertical("tr W = 0", 0, 0);
  HeatMap::Curve least{"tr W² = (tr W)² / d: the least", 0, Series::Look::line, {}};
  for (const double x : map.x.values) {
    const double y = x * x / channels;
    least.points.push_back({x, y < low || y > high ? std::numeric_limits<double>::quiet_NaN() : y});
  }
  curves.push_back(least);
  if (has_theory) {
    vertical("tr W = ± 2λ", -2, 4);
    vertical("tr W = ± 2λ", 2, 4);
    const auto curve = [&](const char* label, const char* key, int colour) {
      HeatMap::Curve c{label, colour, Series::Look::line, {}};
      for (std::size_t i = 0; i < map.x.values.size(); ++i) {
        const double y = d.at("boundaries").at(key).at(i).get<double>() / lambda / lambda;
        const bool inside = low <= y && y <= high;
        c.points.push_back({map.x.values[i], inside ? y : std::numeric_limits<double>::quiet_NaN()});
      }
      curves.push_back(c);
    };
    curve("max ρ = 1/4", "washed_out_from", 5);
    curve("2/3 of ρ in one half", "unlocalised_from", 3);
  }

  for (const auto& [source, rows] : d.at("panels").items()) {
    HeatMap::Panel panel{source == "theory" ? "theory, T → ∞" : source + ", simulated", {}, curves};
    for (const Json& row : rows) {
      for (const char c : row.get<std::string>()) {
        const std::size_t index = letters.find(c);
        panel.values.push_back(index == std::string::npos ? std::numeric_limits<double>::quiet_NaN()
                                                          : static_cast<double>(index));
      }
    }
    map.panels.push_back(panel);
  }
  if (map.panels.size() > 2) map.width = map.height = 300;
  map.note = setting_of(d) + "; W symmetric.";
  return draw(map);
}

Section diagrams_section(const Json& diagrams, const std::vector<std::string>& agreements) {
  Section section{
      "Phase diagrams",
      {prose(
          "Which sites a query listens to, over trace and scale of the spectrum. Conditions of the theory "
          "are asymptotic (\"small\", \"much larger\"); the thresholds here are ours. A half of the sites is "
          "preferred if it has 2/3 of the sum of ρ. It is late (mirrored: early) if the last (first) site "
          "has at least half of the largest ρ, else middle; for tr W² → 0 this turns at tr W = ± 2λ. Where "
          "no half is preferred and no ρ reaches 1/4, the mean is washed out; else it is uniform. Under "
          "softmax the same is read from the mean row of attention in 16 bins, and it is washed out where a "
          "row's entropy is below 1/2 of the log of its length on the mean: rows dwell on few tokens, but "
          "not on the same ones.")}};
  for (std::size_t i = 0; i < diagrams.size(); ++i) {
    section.contents.push_back(phase_diagram(diagrams[i]));
    section.contents.push_back(remark(paragraphs(agreements[i])));
  }
  section.contents.emplace_back(commands(command));
  return section;
}

// ---- Softmax

struct Shown {
  const char *key, *name, *hint;
};
constexpr Shown shown[] = {
    {"row_entropy", "row entropy", "mean over rows 2 to T, divided by log of their length"},
    {"profile_entropy", "profile entropy", "of the mean last row, divided by log T"},
    {"first_quarter", "1st quarter", "the last row's mass on the first quarter of the tokens"},
    {"last_quarter", "4th quarter", "the last row's mass on the last quarter of the tokens"},
    {"residual", "residual", "of the output, relative to its mean token: 0 is collapsed"},
    {"cosine", "cosine", "mean cosine of two output tokens: 1 is collapsed"},
};

std::string kind_of(const Json& c) {
  const std::string kind = c.at("matrix").get<std::string>();
  return kind == "antisymmetric" ? "symmetric + antisymmetric" : kind;
}

std::string softmax_table(const Json& softmax) {
  Table table;
  table.caption = "Means (standard error of the last digits)";
  table.columns = {{"matrix"}, {"tr W", true}, {"tr W²", true}, {"‖W‖_F²", true}};
  for (const Shown& s : shown) table.columns.push_back({s.name, true, s.hint});
  table.sortable = false;
  for (const Json& c : softmax) {
    const bool low_rank = c.at("head_dim") != c.at("channels");
    const std::string kind = kind_of(c);
    std::vector<Cell> row = {low_rank ? kind + " " + c.at("head_dim").dump() : kind, number(c.at("trace")),
                             number(c.at("trace_square")), number(c.at("frobenius_square"))};
    std::vector<Cell> below = {"reference", "", "", ""};
    bool has_reference = false;
    for (const Shown& s : shown) {
      const Json& estimate = c.at("statistics").at(s.key);
      const long last_digits = std::lround(1e4 * estimate.at("standard_error").get<double>());
      row.push_back(Cell(fixed(estimate.at("mean"), 4) + " (" + std::to_string(last_digits) + ")"));
      const bool known = estimate.contains("reference");
      below.push_back(Cell(known ? fixed(estimate.at("reference"), 3) : ""));
      has_reference = has_reference || known;
    }
    table.rows.push_back(row);
    if (has_reference) table.rows.push_back(below);
  }
  return show(table);
}

// The mean last rows of one kind of matrix.
Figure profiles(const Json& softmax, const std::string& kind) {
  LineChart chart{.title = "Mean last row of softmax: " + kind,
                  .x_label = "site θ = t / T; the query stands at 1",
                  .y_label = "attention × T: 1 is uniform",
                  .logarithmic = true,
                  .x_scale = LineChart::Scale::linear,
                  .width = 430,
                  .height = 290};
  int colour = 0;
  for (const Json& c : softmax) {
    if (kind_of(c) != kind) continue;
    std::string label = title_of(c);
    if (c.at("head_dim") != c.at("channels")) label += ", rank " + c.at("head_dim").dump();
    Series series{label, colour++};
    const double tokens = c.at("tokens");
    for (std::size_t t = 0; t < c.at("profile").size(); ++t) {
      series.points.push_back(
          {static_cast<double>(t + 1) / tokens, tokens * c.at("profile").at(t).get<double>()});
    }
    chart.series.push_back(series);
  }
  return draw(chart);
}

Section softmax_section(const Json& softmax, const std::string& deviations) {
  Section section{
      "Real softmax",
      {prose(
           "The surrogate is linear up to (T − 1) λ; softmax saturates near λ log T. So the same walks, with "
           "causal softmax. Localised means concentrated on few sites, not low entropy: row entropy tells "
           "how few tokens a row dwells on, the profile whether they are the same ones in each draw."),
       remark(settings_of(softmax)), softmax_table(softmax)}};
  std::vector<Figure> charts;
  std::vector<std::string> kinds;
  for (const Json& c : softmax) {
    if (kinds.empty() || kinds.back() != kind_of(c)) kinds.push_back(kind_of(c));
  }
  for (const std::string& kind : kinds) charts.push_back(profiles(softmax, kind));
  section.contents.push_back(Content(charts, false));
  if (!deviations.empty()) section.contents.push_back(remark(paragraphs(deviations)));
  section.contents.emplace_back(commands(command));
  return section;
}

}  // namespace

std::vector<Section> localize_sections(const std::string& text) {
  const Json json = parse_json(text, "localize.json");
  for (const char* part : {"theory", "softmax"}) {
    if (!json.is_object() || !json.contains(part) || !json.at(part).is_array() || json.at(part).empty())
      fail("results of localize", "something else", "an object with cases of theory and softmax",
           "build/bin/localize writes localize.json");
  }
  try {
    std::vector<Section> sections = {rho_section(json.at("theory"))};
    if (json.contains("diagrams")) {
      sections.push_back(diagrams_section(json.at("diagrams"), agreement_texts(text)));
    }
    sections.push_back(softmax_section(json.at("softmax"), deviations_text(text)));
    return sections;
  } catch (const Json::exception& error) {
    fail("results of localize", error.what(), "what this version writes", "run build/bin/localize again");
  }
}

}  // namespace ef
