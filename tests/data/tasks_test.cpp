// Synthetic tasks: that what is asked can be known, and that floors are what they say.
#include <cmath>
#include <map>

#include "data/batches.h"
#include "data/source.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

struct Line {
  std::vector<std::string> tokens;  // without its end
  std::vector<bool> scored;
  std::vector<double> nats;
  bool end_scored = false;
  double end_nats = 0;
  double total() const {
    double sum = end_nats;
    for (const double x : nats) sum += x;
    return sum;
  }
};

std::vector<Line> lines_of(const Corpus& corpus, const Split& text) {
  std::vector<Line> lines;
  for (std::size_t i = 0; i < text.starts.size(); ++i) {
    const Index end = (i + 1 < text.starts.size() ? text.starts[i + 1] : text.size()) - 1;
    Line line;
    for (Index at = text.starts[i]; at < end; ++at) {
      line.tokens.push_back(corpus.tokenizer->token(text.ids[at]));
      line.scored.push_back(text.is_scored(at));
      line.nats.push_back(static_cast<double>(text.floor_nats[at]));
    }
    line.end_scored = text.is_scored(end);
    line.end_nats = static_cast<double>(text.floor_nats[end]);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<Line> lines_of(const std::string& source, const OptionValues& options = {}) {
  const Corpus corpus = data_source(source, options)->load(source);
  return lines_of(corpus, corpus.valid);
}

OptionValues with(std::initializer_list<std::pair<const char*, Index>> values) {
  OptionValues options;
  for (const auto& [name, value] : values) options.set(name, value);
  return options;
}

// Splits a line at its sign.
std::pair<std::vector<std::string>, std::vector<std::string>> at_sign(const Line& line) {
  const auto sign = std::find(line.tokens.begin(), line.tokens.end(), ">");
  REQUIRE(sign != line.tokens.end());
  return {{line.tokens.begin(), sign}, {sign + 1, line.tokens.end()}};
}

}  // namespace

TEST_CASE("reversing and sorting: what is asked is what is given, backwards and in order", "[data]") {
  for (const Index n : {1, 2, 7}) {
    for (const Line& line : lines_of("reverse", with({{"reverse-length", n}}))) {
      auto [given, asked] = at_sign(line);
      std::reverse(given.begin(), given.end());
      REQUIRE(asked == given);
      REQUIRE(std::ssize(asked) == n);
      for (Index i = 0; i < std::ssize(line.tokens); ++i) {
        REQUIRE(line.scored[i] == (i > n));
        if (line.scored[i]) REQUIRE(line.nats[i] == 0);
      }
      REQUIRE(line.end_scored);
    }
    for (const Line& line : lines_of("sort", with({{"sort-length", n}, {"sort-symbols", 3}}))) {
      auto [given, asked] = at_sign(line);
      std::sort(given.begin(), given.end());
      REQUIRE(asked == given);
    }
  }
}

TEST_CASE("recall: each key has the value that stood behind it, each once", "[data]") {
  for (const Line& line : lines_of("recall", with({{"recall-pairs", 5}, {"recall-values", 4}}))) {
    const auto [given, asked] = at_sign(line);
    std::map<std::string, std::string> values, again;
    for (std::size_t i = 0; i < given.size(); i += 2) values[given[i]] = given[i + 1];
    for (std::size_t i = 0; i < asked.size(); i += 2) again[asked[i]] = asked[i + 1];
    REQUIRE(values.size() == 5);
    REQUIRE(again == values);
    REQUIRE(std::count(line.scored.begin(), line.scored.end(), true) == 5);
    // 26 25 24 23 22 * 4^5 texts, and 5! orders, all equally probable.
    const double nats = std::log(26.0 * 25 * 24 * 23 * 22 * 1024 * 120);
    REQUIRE(line.total() == Approx(nats).epsilon(1e-6));
  }
}

TEST_CASE("addition: sums are right; no pair is in both texts, and all pairs are in one", "[data]") {
  const OptionValues options = with({{"addition-modulus", 11}});
  const Corpus corpus = data_source("addition", options)->load("addition");
  std::map<std::pair<int, int>, int> where;  // 1: trained on, 2: held out
  for (const Split* split : {&corpus.train, &corpus.valid}) {
    for (const Line& line : lines_of(corpus, *split)) {
      const int a = std::stoi(line.tokens[0]), b = std::stoi(line.tokens[2]), c = std::stoi(line.tokens[4]);
      REQUIRE((a + b) % 11 == c);
      where[{a, b}] |= split == &corpus.train ? 1 : 2;
      REQUIRE(line.scored == std::vector<bool>{false, false, false, false, true});
      REQUIRE_FALSE(line.end_scored);
    }
  }
  CHECK(where.size() == 121);
  Index trained = 0;
  for (const auto& [pair, which] : where) {
    CHECK(which != 3);
    trained += which == 1;
  }
  CHECK(std::fabs(double(trained) - 0.6 * 121) < 4 * std::sqrt(121 * 0.24));
}

TEST_CASE("brackets: lines close in order; floors are those of all lines, counted out", "[data]") {
  // With one kind, depth 2 and four tokens there are three lines. "(" is sure; then one half each closes, or
  // opens another one, and then all must close; after "()" one half each ends, or goes on to "()()".
  const std::map<std::string, double> expected = {{"()", 0.25}, {"()()", 0.25}, {"(())", 0.5}};
  std::map<std::string, double> seen;
  double lines = 0;
  const OptionValues small = with({{"brackets-kinds", 1}, {"brackets-depth", 2}, {"brackets-length", 4}});
  for (const Line& line : lines_of("brackets", small)) {
    std::string text;
    for (const std::string& token : line.tokens) text += token;
    ++seen[text];
    ++lines;
    REQUIRE(expected.contains(text));
    REQUIRE(line.total() == Approx(-std::log(expected.at(text))).epsilon(1e-6));
  }
  CHECK(seen.size() == expected.size());
  for (const auto& [text, p] : expected) CHECK(std::fabs(seen[text] - p * lines) < 5 * std::sqrt(p * lines));

  for (const Line& line : lines_of("brackets")) {
    std::string open;
    for (const std::string& token : line.tokens) {
      const std::string all = "()[]{}";
      const std::size_t kind = all.find(token);
      REQUIRE(kind != std::string::npos);
      if (kind % 2 == 0) {
        open += token;
      } else {
        REQUIRE((!open.empty() && all[kind - 1] == open.back()));
        open.pop_back();
      }
      REQUIRE(open.size() <= 6);
    }
    REQUIRE(open.empty());
    REQUIRE((!line.tokens.empty() && line.tokens.size() <= 60));
  }
  check_throws([] { data_source("brackets", with({{"brackets-length", 5}})); }, {"an even number"});
}

TEST_CASE("regression: the floor is Bayes' rule over slopes, computed anew from sums over all of them",
          "[data]") {
  // p(y_1 ... y_n | x) = 1/(2 m + 1) sum over w of the product of the noise's probabilities: the floors of a
  // line's y add up to minus its logarithm.
  const auto noise = [](Index off) { return off == 0 ? 0.5 : off == 1 || off == -1 ? 0.25 : 0; };
  for (const Line& line : lines_of("regression", with({{"regression-pairs", 4}, {"regression-slope", 3}}))) {
    REQUIRE(line.tokens.size() == 8);
    double probability = 0, floors = 0;
    for (Index w = -3; w <= 3; ++w) {
      double product = 1.0 / 7;
      for (std::size_t i = 0; i < 8; i += 2)
        product *= noise(std::stoi(line.tokens[i + 1]) - w * std::stoi(line.tokens[i]));
      probability += product;
    }
    for (std::size_t i = 0; i < 8; ++i) {
      REQUIRE(line.scored[i] == (i % 2 == 1));
      if (line.scored[i]) floors += line.nats[i];
    }
    REQUIRE(floors == Approx(-std::log(probability)).epsilon(1e-5));
  }
}

TEST_CASE("Markov chains: floors are those of frequencies, or of Laplace's rule", "[data]") {
  // One table: the mean floor is close to the entropy of what follows what, counted in the text.
  std::map<std::string, std::map<std::string, double>> counts;
  double floors = 0, all = 0;
  const Corpus corpus = data_source("markov", {})->load("markov");
  for (const Line& line : lines_of(corpus, corpus.train)) {
    for (std::size_t i = 1; i < line.tokens.size(); ++i) {
      ++counts[line.tokens[i - 1]][line.tokens[i]];
      floors += line.nats[i];
      ++all;
    }
  }
  double entropy = 0;
  for (const auto& [symbol, row] : counts) {
    double sum = 0;
    for (const auto& [next, count] : row) sum += count;
    for (const auto& [next, count] : row) entropy += count * std::log(sum / count);
  }
  CHECK(floors / all == Approx(entropy / all).epsilon(2e-3));

  // A table a line: a line's probability is a product of Dirichlet integrals, whatever the order of its
  // steps: for each symbol (k - 1)! prod_j n_j! / (n + k - 1)!.
  OptionValues own = with({{"markov-length", 12}, {"markov-symbols", 3}});
  own.set("markov-in-context", true);
  for (const Line& line : lines_of("markov", own)) {
    std::map<std::string, std::map<std::string, Index>> n;
    for (std::size_t i = 1; i < line.tokens.size(); ++i) ++n[line.tokens[i - 1]][line.tokens[i]];
    double nats = 0;
    for (const auto& [symbol, row] : n) {
      double sum = 0;
      for (const auto& [next, count] : row) {
        nats -= std::lgamma(double(count) + 1);
        sum += double(count);
      }
      nats += std::lgamma(sum + 3) - std::lgamma(3);
    }
    double told = 0;
    for (std::size_t i = 1; i < line.tokens.size(); ++i) told += line.nats[i];
    REQUIRE(told == Approx(nats).epsilon(1e-5));
  }
}

TEST_CASE("walks: steps of one at most, all alike", "[data]") {
  std::map<int, double> steps;
  double all = 0;
  for (const Line& line : lines_of("walk", with({{"walk-places", 7}}))) {
    for (std::size_t i = 1; i < line.tokens.size(); ++i, ++all) {
      const int step = (line.tokens[i][0] - line.tokens[i - 1][0] + 7) % 7;
      ++steps[step];
      REQUIRE(line.nats[i] == Approx(std::log(3.0)));
    }
  }
  CHECK(steps.size() == 3);
  for (const int step : {0, 1, 6}) CHECK(std::fabs(steps[step] - all / 3) < 5 * std::sqrt(all * 2 / 9));
}
