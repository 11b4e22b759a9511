#include "data/chooser.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"

namespace ef {
namespace {

std::string in_quotes(std::string_view text) {
  std::string quote = "\"";
  for (const char c : text) quote += c == '\n' ? std::string("\\n") : std::string(1, c);
  return quote + "\"";
}

// A choice while its text is read from left to right: the walk down the trie of its alternatives.
class Walk {
 public:
  Walk(Chooser::Alternatives alternatives, Chooser::Weights weights)
      : alternatives_(alternatives), weights_(weights), possible_(alternatives.size()) {
    if (!weights.empty() && weights.size() != size())
      fail("grammar: a choice needs one weight an alternative");
    for (std::size_t i = 0; i < size(); ++i)
      for (std::size_t j = 0; j < size(); ++j)
        if (i != j && alternatives[j].starts_with(alternatives[i]))
          fail("grammar: a choice is ambiguous",
               in_quotes(alternatives[i]) + " and " + in_quotes(alternatives[j]),
               "alternatives of which none begins another");
    for (std::size_t i = 0; i < size(); ++i) possible_[i] = weights.empty() || weights[i] > 0;
    if (!(weight() > 0)) fail("grammar: a choice without a possible alternative");
  }

  // The weight of all alternatives that are still possible.
  double weight() const {
    double sum = 0;
    for (std::size_t i = 0; i < size(); ++i)
      if (possible_[i]) sum += weights_.empty() ? 1 : weights_[i];
    return sum;
  }

  // Takes the next character: its nats. Infinite if no alternative goes on with it; then nothing is taken.
  double take(char c) {
    const double before = weight();
    const std::vector<bool> was_possible = possible_;
    for (std::size_t i = 0; i < size(); ++i) possible_[i] = possible_[i] && alternatives_[i][taken_] == c;
    const double after = weight();
    if (after > 0) {
      ++taken_;
    } else {
      possible_ = was_possible;
    }
    return after == before ? 0 : std::log(before / after);  // not -log(after / before), which may be -0
  }

  // The alternative whose last character has been taken, -1 if there is more to come.
  Index chosen() const {
    for (std::size_t i = 0; i < size(); ++i)
      if (possible_[i] && alternatives_[i].size() == taken_) return static_cast<Index>(i);
    return -1;
  }

  // What may come now: "ed" or "ound".
  std::string expected() const {
    std::string list;
    for (std::size_t i = 0; i < size(); ++i)
      if (possible_[i]) list += (list.empty() ? "" : " or ") + in_quotes(alternatives_[i].substr(taken_));
    return list;
  }

 private:
  std::size_t size() const { return alternatives_.size(); }

  Chooser::Alternatives alternatives_;
  Chooser::Weights weights_;
  std::vector<bool> possible_;
  std::size_t taken_ = 0;
};

}  // namespace

void Writer::say(std::string_view text) {
  story.text += text;
  story.nats.resize(story.text.size(), 0.0f);
}

Index Writer::choose(Alternatives alternatives, Weights weights) {
  Walk walk(alternatives, weights);
  double rest = random_.uniform(index_++) * walk.weight();
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < alternatives.size() && rest >= 0; ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    if (weight > 0) chosen = i;  // the last possible one, should rounding leave a rest above zero
    rest -= weight;
  }
  story.text += alternatives[chosen];
  for (const char c : alternatives[chosen]) story.nats.push_back(static_cast<float>(walk.take(c)));
  return static_cast<Index>(chosen);
}

void Reader::say(std::string_view text) { choose(Alternatives(&text, 1), Weights()); }

Index Reader::choose(Alternatives alternatives, Weights weights) {
  Walk walk(alternatives, weights);
  while (walk.chosen() < 0) {
    const std::string_view rest = text_.substr(nats.size());
    const double cost = rest.empty() ? INFINITY : walk.take(rest.front());
    if (std::isinf(cost)) {
      expected = walk.expected();
      throw Left{};
    }
    nats.push_back(static_cast<float>(cost));
  }
  return walk.chosen();
}

Index Census::choose(Alternatives alternatives, Weights weights) {
  const auto weight = [&](std::size_t i) { return weights.empty() ? 1 : weights[i]; };
  double sum = 0;
  Index possible = 0;
  for (std::size_t i = 0; i < alternatives.size(); ++i) {
    sum += weight(i);
    if (weight(i) > 0) ++possible;
  }
  if (depth_ == choices_.size()) choices_.push_back({0, possible});
  Index skip = choices_[depth_++].chosen;  // counted among the possible ones
  std::size_t chosen = 0;
  while (weight(chosen) <= 0 || skip-- > 0) ++chosen;
  probability_ *= weight(chosen) / sum;
  length_ += std::ssize(alternatives[chosen]);
  return static_cast<Index>(chosen);
}

bool Census::next() {
  while (!choices_.empty() && ++choices_.back().chosen == choices_.back().possible) choices_.pop_back();
  depth_ = 0;
  probability_ = 1;
  length_ = 0;
  return !choices_.empty();
}

}  // namespace ef
