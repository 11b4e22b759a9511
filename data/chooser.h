// Grammars as programs. A grammar is a function that makes a text by saying fixed words and by choosing
// among words, without knowing who listens:
//
//   void greeting(Chooser& chooser) {
//     chooser.say("Hello, ");
//     const Index who = chooser.choose({"world", "moon"}, {3, 1});  // weights; without them all are equal
//     chooser.say(who == 0 ? "!" : "?");
//   }
//
// Handed a Writer, it writes; handed a Reader, it checks a text; handed a Census, all of its texts are
// counted. So writing, reading and the entropy of a language cannot disagree: there is one grammar.
//
// No alternative of a choice may be the beginning of another. Then the text itself tells what was chosen,
// each text arises in one way, and each of its characters has an exact probability: within a choice, given
// the characters read so far,
//   p(next character c) = weight of the alternatives that go on with c / weight of those still possible,
// and 1 within fixed words.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/random.h"
#include "engine/real.h"

namespace ef {

class Chooser {
 public:
  using Alternatives = std::span<const std::string_view>;
  using Weights = std::span<const double>;  // not negative, one for each alternative; empty: all equal

  virtual ~Chooser() = default;
  // A fixed piece of text.
  virtual void say(std::string_view text) = 0;
  // One of the alternatives, which becomes part of the text; returns its index. Throws Error if one of them
  // is the beginning of another, or no weight is positive.
  virtual Index choose(Alternatives alternatives, Weights weights) = 0;

  Index choose(Alternatives alternatives) { return choose(alternatives, Weights()); }
  Index choose(std::initializer_list<std::string_view> alternatives,
               std::initializer_list<double> weights = {}) {
    return choose(Alternatives(alternatives.begin(), alternatives.size()),
                  Weights(weights.begin(), weights.size()));
  }
};

// A text of the language and what each of its characters costs.
struct Story {
  std::string text;
  std::vector<float> nats;  // nats[i] = -log p(text[i] | text[0], ..., text[i - 1])
};

// Writes a text by chance. Draw number n of the text is number `first_index` + n of `random`.
class Writer : public Chooser {
 public:
  explicit Writer(Random random, std::uint64_t first_index = 0) : random_(random), index_(first_index) {}
  using Chooser::choose;
  void say(std::string_view text) override;
  Index choose(Alternatives alternatives, Weights weights) override;

  Story story;

 private:
  Random random_;
  std::uint64_t index_;
};

// Follows a text. Where the text leaves the language, or ends too early, say() and choose() throw Left, for
// there is no way on; the caller of the grammar catches it.
class Reader : public Chooser {
 public:
  struct Left {};
  explicit Reader(std::string_view text) : text_(text) {}
  using Chooser::choose;
  void say(std::string_view text) override;
  Index choose(Alternatives alternatives, Weights weights) override;

  Index accepted() const { return std::ssize(nats); }  // this many characters follow the grammar
  std::vector<float> nats;                             // of these characters
  std::string expected;                                // after Left: what could have come, "red" or "blue"

 private:
  std::string_view text_;
};

// Runs through every text of a (small) grammar in turn, with its probability:
//   Census census;
//   do { greeting(census); use(census.probability(), census.length()); } while (census.next());
class Census : public Chooser {
 public:
  using Chooser::choose;
  void say(std::string_view text) override { length_ += std::ssize(text); }
  // Does not look at the alternatives' beginnings, for speed: Writer and Reader do.
  Index choose(Alternatives alternatives, Weights weights) override;

  double probability() const { return probability_; }
  Index length() const { return length_; }  // in characters
  // Prepares for the next text; false if there is none left.
  bool next();

 private:
  struct Choice {
    Index chosen, possible;  // number of the alternative, and how many there are, without those of weight 0
  };
  std::vector<Choice> choices_;  // an odometer: the last choice turns fastest
  std::size_t depth_ = 0;        // choices made in this text
  double probability_ = 1;
  Index length_ = 0;
};

}  // namespace ef
