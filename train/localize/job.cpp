#include "train/localize/job.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "train/config.h"
#include "train/live.h"

namespace ef {
namespace {

using Json = nlohmann::ordered_json;
using Heads = std::vector<std::vector<Real>>;

Index rank_of(const LocalizeCase& c) { return c.head_dim == 0 ? c.channels : c.head_dim; }

QKMoments moments_of(const LocalizeCase& c) {
  const double lambda = c.lambda == 0 ? std::sqrt(static_cast<double>(rank_of(c))) : c.lambda;
  return {c.trace, c.trace_square, c.frobenius_square == 0 ? c.trace_square : c.frobenius_square, lambda};
}

RandomWalk walk_of(const LocalizeCase& c, Index draws, std::uint64_t seed) {
  return {c.tokens, c.channels, c.tokens_model == "normalised", draws, seed};
}

std::vector<Real> head_of(const LocalizeCase& c, std::uint64_t seed) {
  const QKMoments m = moments_of(c);
  return logit_matrix(make_matrix(c.matrix, c.channels, rank_of(c), m, seed), m.lambda);
}

Json to_json(const LocalizeCase& c) {
  const QKMoments m = moments_of(c);
  return {{"matrix", c.matrix}, {"channels", c.channels},         {"head_dim", rank_of(c)},
          {"trace", m.trace},   {"trace_square", m.trace_square}, {"frobenius_square", m.frobenius_square},
          {"lambda", m.lambda}, {"tokens_model", c.tokens_model}, {"tokens", c.tokens}};
}

Json to_json(const Estimate& e) { return {{"mean", e.mean}, {"standard_error", e.standard_error}}; }

// ---- Theory beside the surrogate

// What was noted of a case before, by name of the statistic or by theta.
using Reference = std::vector<std::pair<double, double>>;

struct TheoryCase {
  LocalizeCase what;
  Reference reference = {};
};

Json theory_of(const TheoryCase& c, const LastRow& row, const LocalizeOptions& options) {
  Json json = to_json(c.what);
  json["draws"] = options.draws;
  const QKMoments m = moments_of(c.what);
  const bool has_theory = c.what.tokens_model == "walk";
  Json theta = Json::array(), formula = Json::array(), limit = Json::array();
  Json measured = Json::array(), error = Json::array();
  std::vector<double> simulated;
  for (Index t = 1; t <= c.what.tokens; ++t) {
    const double at = static_cast<double>(t) / static_cast<double>(c.what.tokens);
    const Estimate& e = row.rho[t - 1];
    theta.push_back(at);
    if (has_theory) {
      formula.push_back(rho(m, c.what.tokens, static_cast<double>(t)));
      limit.push_back(rho_limit(m, at));
    }
    measured.push_back(e.mean);
    error.push_back(e.standard_error);
    simulated.push_back(e.mean);
  }
  Json regimes = {{"surrogate", name(rho_regime(simulated))}, {"softmax", name(softmax_regime(row))}};
  if (has_theory) {
    regimes["theory"] = name(limit_regime(m));
    regimes["formula"] = name(rho_regime(rho_profile(m, c.what.tokens)));
  }
  json["regimes"] = regimes;
  json["theta"] = theta;
  json["formula"] = formula;
  json["limit"] = limit;
  json["measured"] = measured;
  json["standard_error"] = error;
  if (!c.reference.empty()) {
    Json points = Json::array();
    for (const auto& [at, value] : c.reference) {
      const Index t = std::lround(at * static_cast<double>(c.what.tokens));
      points.push_back({{"theta", at}, {"t", t}, {"rho", value}});
    }
    json["reference"] = points;
  }
  return json;
}

// All cases share tokens and channels, and the tokens of the walk.
Json theory_json(const std::vector<TheoryCase>& cases, const LocalizeOptions& options, Workers& workers,
                 const DrawsDone& done) {
  Heads heads;
  for (const TheoryCase& c : cases) heads.push_back(head_of(c.what, options.seed));
  const auto rows =
      simulate_last_row(walk_of(cases.front().what, options.draws, options.seed), heads, workers, done);
  Json json = Json::array();
  for (std::size_t i = 0; i < cases.size(); ++i) json.push_back(theory_of(cases[i], rows[i], options));
  return json;
}

// ---- Softmax

struct SoftmaxCase {
  LocalizeCase what;
  std::map<std::string, double> reference = {};
};

// Of the reference table below, which has three digits. It is what seed 1 of this program gave.
constexpr Index reference_draws = 4000;

Json softmax_of(const SoftmaxCase& c, const SoftmaxStatistics& s, const LocalizeOptions& options) {
  Json json = to_json(c.what);
  json["draws"] = options.draws;
  if (!c.reference.empty()) json["reference_draws"] = reference_draws;
  Json statistics;
  const auto add = [&](const char* key, const Estimate& e) {
    statistics[key] = to_json(e);
    if (const auto found = c.reference.find(key); found != c.reference.end()) {
      statistics[key]["reference"] = found->second;
    }
  };
  add("row_entropy", s.row_entropy);
  add("profile_entropy", s.profile_entropy);
  const char* const quarters[] = {"first_quarter", "second_quarter", "third_quarter", "last_quarter"};
  for (std::size_t q = 0; q < 4; ++q) add(quarters[q], s.quarters[q]);
  add("residual", s.residual);
  add("cosine", s.cosine);
  json["statistics"] = statistics;
  json["profile"] = Json::array();
  json["profile_error"] = Json::array();
  for (const Estimate& site : s.profile) {
    json["profile"].push_back(site.mean);
    json["profile_error"].push_back(site.standard_error);
  }
  return json;
}

Json softmax_json(const std::vector<SoftmaxCase>& cases, const LocalizeOptions& options, Workers& workers,
                  const DrawsDone& done) {
  Heads heads;
  for (const SoftmaxCase& c : cases) heads.push_back(head_of(c.what, options.seed));
  const auto statistics =
      simulate_softmax(walk_of(cases.front().what, options.draws, options.seed), heads, workers, done);
  Json json = Json::array();
  for (std::size_t i = 0; i < cases.size(); ++i) json.push_back(softmax_of(cases[i], statistics[i], options));
  return json;
}

// ---- Phase diagrams

// Symmetric matrices over a grid: tr W / lambda, evenly around 0, and tr W^2 / lambda^2, in factors of
// sqrt(2).
struct DiagramCase {
  LocalizeCase what;
  double largest_trace;  // / lambda
};
constexpr int diagram_columns = 33, diagram_rows = 31, diagram_first_row = -16;

Json diagram_of(const DiagramCase& c, const LocalizeOptions& options, Workers& workers,
                const DrawsDone& done) {
  const double lambda = moments_of(c.what).lambda;
  const bool has_theory = c.what.tokens_model == "walk";
  Json json = {{"tokens_model", c.what.tokens_model},
               {"tokens", c.what.tokens},
               {"channels", c.what.channels},
               {"lambda", lambda},
               {"draws", options.draws}};
  std::vector<double> traces, squares;
  for (int i = 0; i < diagram_columns; ++i) {
    traces.push_back(c.largest_trace * lambda * (2.0 * i / (diagram_columns - 1) - 1));
  }
  for (int i = 0; i < diagram_rows; ++i) {
    squares.push_back(lambda * lambda * std::exp2((diagram_first_row + i) / 2.0));
  }

  Heads heads;
  std::vector<int> head_at(diagram_columns * diagram_rows, -1);
  std::vector<LocalizeCase> cases;
  for (std::size_t cell = 0; cell < head_at.size(); ++cell) {
    LocalizeCase here = c.what;
    here.trace = traces[cell % diagram_columns];
    here.trace_square = squares[cell / diagram_columns];
    if (here.trace_square * static_cast<double>(here.channels) < here.trace * here.trace) continue;
    head_at[cell] = static_cast<int>(heads.size());
    heads.push_back(head_of(here, options.seed));
    cases.push_back(here);
  }
  const auto rows = simulate_last_row(walk_of(c.what, options.draws, options.seed), heads, workers, done);

  // Panels are rows of letters, the smallest trace_square first; a space where no matrix is.
  std::map<std::string, std::vector<std::string>> panels;
  const std::string empty(diagram_columns, ' ');
  for (const char* panel : {"theory", "surrogate", "softmax"}) panels[panel].assign(diagram_rows, empty);
  std::map<std::string, Json> values;
  for (std::size_t cell = 0; cell < head_at.size(); ++cell) {
    const std::size_t y = cell / diagram_columns, x = cell % diagram_columns;
    const int head = head_at[cell];
    if (head < 0) {
      for (const char* key : {"rho_later", "rho_largest", "softmax_later", "softmax_entropy"}) {
        values[key].push_back(nullptr);
      }
      continue;
    }
    const LastRow& row = rows[head];
    std::vector<double> active;
    for (const Estimate& e : row.rho) active.push_back(e.mean);
    panels["theory"][y][x] = letter(limit_regime(moments_of(cases[head])));
    panels["surrogate"][y][x] = letter(rho_regime(active));
    panels["softmax"][y][x] = letter(softmax_regime(row));
    values["rho_later"].push_back(later_share(active));
    values["rho_largest"].push_back(*std::max_element(active.begin(), active.end()));
    values["softmax_later"].push_back(later_share(row.attention));
    values["softmax_entropy"].push_back(row.entropy.mean);
  }
  json["trace"] = traces;
  json["trace_square"] = squares;
  json["panels"] = Json::object();
  if (has_theory) json["panels"]["theory"] = panels["theory"];
  json["panels"]["surrogate"] = panels["surrogate"];
  json["panels"]["softmax"] = panels["softmax"];
  json["values"] = Json::object();
  for (const auto& [key, list] : values) json["values"][key] = list;
  if (has_theory) {
    Json washed_out = Json::array(), unlocalised = Json::array();
    for (const double trace : traces) {
      washed_out.push_back(washed_out_from(trace, lambda));
      unlocalised.push_back(unlocalised_from(trace, lambda));
    }
    json["boundaries"] = {{"washed_out_from", washed_out}, {"unlocalised_from", unlocalised}};
  }
  return json;
}

// ---- All

std::vector<TheoryCase> theory_cases() {
  const std::vector<double> theta = {.06, .25, .5, .625, .75, .875, 1};
  std::vector<TheoryCase> cases;
  const auto add = [&](double trace, double square, const std::vector<double>& reference) {
    LocalizeCase c;
    c.lambda = 1;
    c.trace = trace;
    c.trace_square = square;
    TheoryCase theory{c, {}};
    for (std::size_t i = 0; i < theta.size(); ++i) theory.reference.emplace_back(theta[i], reference[i]);
    cases.push_back(theory);
  };
  add(0, 16, {.15, .22, .30, .28, .23, .18, .13});
  add(1, 1.0 / 64, {0, 0, .59, 1, 1, 1, 1});
  add(4, 16, {.10, .16, .30, .30, .22, .17, .13});
  add(4, .25, {0, 0, .46, 1, .55, .04, 0});
  // The same trace and trace of the square, with an antisymmetric part.
  for (const double frobenius : {2.5, 12.5}) {
    LocalizeCase c = cases.back().what;
    c.matrix = "antisymmetric";
    c.frobenius_square = frobenius;
    cases.push_back({c, {}});
  }
  return cases;
}

std::vector<SoftmaxCase> softmax_cases() {
  LocalizeCase base;
  base.tokens = 128;
  base.tokens_model = "normalised";
  std::vector<SoftmaxCase> cases;
  const auto reference = [](const double* row) {
    return std::map<std::string, double>{
        {"row_entropy", row[0]}, {"profile_entropy", row[1]}, {"last_quarter", row[2]}, {"residual", row[3]}};
  };
  const double table[][6] = {
      // tr W, tr W^2, row entropy, profile entropy, last quarter, residual
      {0, 0, 1.000, 1.000, .250, .404},   {0, 200, .872, .990, .238, .416},
      {64, 64, .820, .876, .688, .510},   {64, 640, .757, .944, .551, .498},
      {64, 3200, .500, .959, .370, .512}, {128, 256, .674, .777, .860, .536},
      {-64, 64, .632, .718, .008, .269},
  };
  for (const auto& row : table) {
    LocalizeCase c = base;
    c.trace = row[0];
    c.trace_square = row[1];
    cases.push_back({c, reference(row + 2)});
  }
  {  // far from uniform without a mean, as the others are with one
    LocalizeCase c = base;
    c.trace = 0;
    c.trace_square = 3200;
    cases.push_back({c, {}});
  }
  const double mixed[][5] = {
      // ||W||_F^2, and the same statistics
      {640, .762, .938, .566, .498},
      {3200, .517, .971, .366, .509},
  };
  LocalizeCase plain = base;  // where they start: no antisymmetric part
  plain.matrix = "antisymmetric";
  cases.push_back({plain, {}});
  for (const auto& row : mixed) {
    LocalizeCase c = plain;
    c.frobenius_square = row[0];
    cases.push_back({c, reference(row + 1)});
  }
  for (const double frobenius : {640.0, 3200.0}) {  // the same moments, real eigenvalues
    LocalizeCase c = base;
    c.matrix = "general";
    c.frobenius_square = frobenius;
    cases.push_back({c, {}});
  }
  // One trace, as concentrated as a head of this rank can be: 64 / k times a projector.
  for (const Index rank : {32, 16, 8, 4}) {
    LocalizeCase c = base;
    c.matrix = "low-rank";
    c.head_dim = rank;
    c.lambda = 8;
    c.trace_square = c.trace * c.trace / static_cast<double>(rank);
    cases.push_back({c, {}});
  }
  return cases;
}

Json start(const LocalizeOptions& options) {
  return {{"program", "localize"}, {"version", version()}, {"seed", options.seed}};
}

// Counts the draws of one simulation as so much work.
DrawsDone shown(ProgressBar& bar, double work_a_draw, const std::string& what) {
  return [&bar, work_a_draw, what, before = Index(0)](Index done) mutable {
    bar.add(work_a_draw * static_cast<double>(done - before), what);
    before = done;
  };
}

}  // namespace

std::string localize_case(const LocalizeCase& one, const LocalizeOptions& options, Workers& workers) {
  Json json = start(options);
  const double n = static_cast<double>(options.draws);
  ProgressBar bar(4 * n);
  json["theory"] = theory_json({{one, {}}}, options, workers, shown(bar, 1, "surrogate"));
  json["softmax"] = softmax_json({{one, {}}}, options, workers, shown(bar, 3, "softmax"));
  return json.dump(1) + "\n";
}

std::string localize_all(const LocalizeOptions& options, Workers& workers) {
  Json json = start(options);
  // Work is in milliseconds of one processor, roughly.
  const double n = static_cast<double>(options.draws);
  const double theory_work = 0.3, softmax_work = 3, diagram_work = 2;
  ProgressBar bar(n * (theory_work + softmax_work + 2 * diagram_work));
  json["theory"] = theory_json(theory_cases(), options, workers, shown(bar, theory_work, "surrogate"));
  json["softmax"] = softmax_json(softmax_cases(), options, workers, shown(bar, softmax_work, "softmax"));
  LocalizeCase walk;
  walk.lambda = 1;
  LocalizeCase normalised = walk;
  normalised.lambda = 8;
  normalised.tokens_model = "normalised";
  normalised.tokens = 128;
  json["diagrams"] = Json::array();
  for (const DiagramCase& c : {DiagramCase{walk, 8}, DiagramCase{normalised, 16}}) {
    json["diagrams"].push_back(diagram_of(c, options, workers, shown(bar, diagram_work, "phase diagram")));
  }
  return json.dump(1) + "\n";
}

}  // namespace ef
