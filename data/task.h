// Synthetic tasks: examples made of random numbers, a line each, whose best possible loss is known token by
// token. What such sources share stands here; a task is a file of data/sources/ that writes one example.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/source.h"
#include "engine/random.h"

namespace ef {

// The random numbers of one example, in the order in which they are asked for.
class Draws {
 public:
  Draws(const Random& random, std::uint64_t example) : random_(random), next_(example << 20) {}
  Index below(Index n) { return static_cast<Index>(random_.below(next_++, static_cast<std::uint64_t>(n))); }
  double uniform() { return random_.uniform(next_++); }  // in [0, 1)
  // An order of 0 to n - 1, all equally probable.
  std::vector<Index> order(Index n);

 private:
  Random random_;
  std::uint64_t next_;
};

// One example, written token by token.
struct Example {
  std::vector<std::string> tokens;
  std::vector<std::uint8_t> scored;
  std::vector<float> floor_nats;

  // What is given, and not to be guessed. nats: -log of its probability, given all before it.
  void given(const std::string& token, double nats) { add(token, false, nats); }
  // What is to be said. 0: who has understood all before it knows it for sure.
  void asked(const std::string& token, double nats = 0) { add(token, true, nats); }

 private:
  void add(const std::string& token, bool is_asked, double nats);
};

// A source of examples of which each ends its line. Validation examples are others than those of training, as
// far as chance goes, unless a task says which are held out.
class TaskSource : public DataSource {
 public:
  Corpus load(const std::string& path) const final;
  bool documents() const final { return true; }

 protected:
  // stream: a number of its own, so that no two tasks draw the same numbers.
  TaskSource(const std::string& name, std::uint64_t stream) : name_(name), stream_(stream) {}
  // All tokens that there may be, but the end of a line. Where they are single characters, examples are read
  // without spaces.
  virtual std::vector<std::string> vocabulary() const = 0;
  virtual Example write(Draws& draws, bool held_out) const = 0;
  // The end of a line is asked for, with what it costs. -1: it is not.
  virtual double end_nats(const Example&) const { return 0; }
  virtual Index training_tokens() const { return 4'000'000; }

 private:
  Split split(const LearnedTokenizer& tokenizer, std::uint64_t first, Index tokens, bool held_out) const;
  std::string name_;
  std::uint64_t stream_;
};

// The letters a, b, c, ...: as many as n, at most 26.
std::vector<std::string> letters(Index n);

// Tasks of one kind: n symbols drawn at random, a sign, and an answer made of them, "gfb>bfg". Only the
// answer is asked for, and who has understood the symbols knows it.
class SymbolsTask : public TaskSource {
 protected:
  SymbolsTask(const std::string& name, std::uint64_t stream, Index length, Index symbols)
      : TaskSource(name, stream), length_(length), alphabet_(letters(symbols)) {}
  virtual std::vector<std::string> answer(std::vector<std::string> given) const = 0;

 private:
  std::vector<std::string> vocabulary() const final;
  Example write(Draws& draws, bool held_out) const final;
  Index length_;
  std::vector<std::string> alphabet_;
};

}  // namespace ef
