// The paper's claims about one head, put to the softmax table of localize.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "engine/error.h"
#include "train/files/json.h"
#include "train/localize/results.h"

namespace ef {
namespace {

using Json = nlohmann::ordered_json;
using Direction = Prediction::Direction;

struct Matrix {
  double trace, trace_square;
};

struct Question {
  const char *claim, *says, *statistic;
  Matrix arm, against;
  Direction direction;
  double margin = 0;
};

constexpr Matrix uniform = {0, 0}, no_mean = {0, 200}, wide_without_mean = {0, 3200}, narrow = {64, 64},
                 wide = {64, 3200}, early = {-64, 64};

// The first of each claim is its primary, the others are secondary (train/evidence/verdict.h). If localize
// was asked about some matrices only, the first that can be answered.
constexpr Question questions[] = {
    {"localises",
     "At tr W = 64 a smaller scale brings more of the attention to the last quarter of the sites.",
     "last_quarter", narrow, wide, Direction::higher},
    {"localises", "Without a mean the last quarter has its share, at tr W² = 200.", "last_quarter", no_mean,
     uniform, Direction::near, 0.025},
    {"localises", "So it has at tr W² = 3200.", "last_quarter", wide_without_mean, uniform, Direction::near,
     0.025},
    {"rank-collapse", "Localised attention leaves tokens less alike than uniform attention does.", "residual",
     narrow, uniform, Direction::higher},
    {"rank-collapse", "At tr W = 64 a smaller scale leaves tokens less alike.", "residual", narrow, wide,
     Direction::higher},
    {"entropy-collapse", "At tr W = 64 a smaller scale keeps rows further from one-hot.", "row_entropy",
     narrow, wide, Direction::higher},
    {"trace", "A negative trace leaves tokens more alike than uniform attention does.", "residual", early,
     uniform, Direction::lower},
};

// nullptr if there is none.
const Json* find_case(const Json& cases, const Matrix& w) {
  for (const Json& c : cases) {
    if (c.at("matrix") == "symmetric" && c.at("trace") == w.trace && c.at("trace_square") == w.trace_square)
      return &c;
  }
  return nullptr;
}

std::string name_of(const Matrix& w) {
  char text[64];
  std::snprintf(text, sizeof text, "tr W = %g, tr W² = %g", w.trace, w.trace_square);
  return text;
}

std::string words_of(std::string statistic) {
  for (char& c : statistic) c = c == '_' ? ' ' : c;
  return statistic;
}

}  // namespace

std::vector<PredictionSummary> localize_predictions(const std::string& text) {
  std::vector<PredictionSummary> predictions;
  try {
    const Json json = parse_json(text, "localize.json");
    for (const Question& q : questions) {
      const Json *arm = find_case(json.at("softmax"), q.arm),
                 *against = find_case(json.at("softmax"), q.against);
      if (arm == nullptr || against == nullptr) continue;  // localize was asked about one matrix
      const Json &x = arm->at("statistics").at(q.statistic), &y = against->at("statistics").at(q.statistic);
      PredictionSummary p;
      const bool first = std::none_of(std::begin(questions), &q, [&](const Question& before) {
        return std::string_view(before.claim) == q.claim;
      });
      p.prediction = {q.claim,
                      q.says,
                      words_of(q.statistic),
                      name_of(q.arm),
                      name_of(q.against),
                      q.direction,
                      q.margin,
                      first ? Prediction::Role::primary : Prediction::Role::secondary};
      p.task = "random walks";
      p.finished = true;
      p.effect = x.at("mean").get<double>() - y.at("mean").get<double>();
      // Both come from the same walks, but only the error of each is known: they are taken as independent.
      const double error =
          std::hypot(x.at("standard_error").get<double>(), y.at("standard_error").get<double>());
      const std::int64_t degrees =
          std::min(arm->at("draws").get<std::int64_t>(), against->at("draws").get<std::int64_t>()) - 1;
      const double reach = error * student_t(0.95, degrees);
      p.t = {p.effect - reach, p.effect + reach};
      const PValue value = p_value(p.prediction, p.effect, error, degrees);
      p.p = value.p;
      p.tends = value.tends;
      p.evidence = arm->at("draws").dump() + " random walks under softmax";
      p.command = "build/bin/localize";
      predictions.push_back(std::move(p));
    }
  } catch (const Json::exception& error) {
    fail(std::string("no content of localize.json: ") + error.what());
  }
  std::vector<PredictionSummary*> all;
  for (PredictionSummary& p : predictions) all.push_back(&p);
  judge_together(all);
  return predictions;
}

}  // namespace ef
