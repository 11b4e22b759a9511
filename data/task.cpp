#include "data/task.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/error.h"

namespace ef {

// Fisher and Yates.
std::vector<Index> Draws::order(Index n) {
  std::vector<Index> all(n);
  std::iota(all.begin(), all.end(), Index{0});
  for (Index i = 0; i + 1 < n; ++i) std::swap(all[i], all[i + below(n - i)]);
  return all;
}

void Example::add(const std::string& token, bool is_asked, double nats) {
  tokens.push_back(token);
  scored.push_back(is_asked);
  floor_nats.push_back(static_cast<float>(nats));
}

std::vector<std::string> letters(Index n) {
  std::vector<std::string> all;
  for (Index i = 0; i < n; ++i) all.emplace_back(1, static_cast<char>('a' + i));
  return all;
}

Split TaskSource::split(const LearnedTokenizer& tokenizer, std::uint64_t first, Index tokens,
                        bool held_out) const {
  Split split;
  const Random random{1, stream_of(Purpose::data, stream_), 0};
  const bool words = tokenizer.name == "words";
  const std::int32_t end = words ? tokenizer->encode("\n").front() : tokenizer->find("\n");
  for (std::uint64_t number = first; split.size() < tokens; ++number) {
    Draws draws(random, number);
    Example example = write(draws, held_out);
    split.starts.push_back(split.size());
    for (const std::string& token : example.tokens) {
      split.ids.push_back(tokenizer->find(token));
      if (split.ids.back() < 0) fail("task " + name_ + ": token", in_quotes(token), "one of its vocabulary");
    }
    split.ids.push_back(end);
    const double nats = end_nats(example);
    split.scored.insert(split.scored.end(), example.scored.begin(), example.scored.end());
    split.scored.push_back(nats >= 0);
    split.floor_nats.insert(split.floor_nats.end(), example.floor_nats.begin(), example.floor_nats.end());
    split.floor_nats.push_back(static_cast<float>(std::max(nats, 0.0)));
  }
  // Where all is asked, a model can write such lines itself.
  if (std::all_of(split.scored.begin(), split.scored.end(), [](std::uint8_t s) { return s != 0; }))
    split.scored.clear();
  return split;
}

Corpus TaskSource::load(const std::string&) const {
  const std::vector<std::string> tokens = vocabulary();
  const bool single = std::all_of(tokens.begin(), tokens.end(), [](const auto& t) { return t.size() == 1; });
  std::string text;
  for (const std::string& token : tokens) text += token + (single ? "" : " ");
  text += "\n";
  const std::string_view all = text;
  const LearnedTokenizer tokenizer = learn_tokenizer(single ? "chars" : "words", {&all, 1});
  constexpr std::uint64_t held_out = std::uint64_t{1} << 40;  // far from where training examples end
  return {name_,
          tokenizer,
          split(tokenizer, 0, training_tokens(), false),
          split(tokenizer, held_out, 40'000, true),
          {},
          tokenizer->first_input()};
}

std::vector<std::string> SymbolsTask::vocabulary() const {
  std::vector<std::string> all = alphabet_;
  all.emplace_back(">");
  return all;
}

Example SymbolsTask::write(Draws& draws, bool) const {
  Example e;
  const Index different = std::ssize(alphabet_);
  const double guess = std::log(static_cast<double>(different));
  for (Index i = 0; i < length_; ++i) e.given(alphabet_[draws.below(different)], guess);
  const std::vector<std::string> asked = answer(e.tokens);
  e.given(">", 0);
  for (const std::string& symbol : asked) e.asked(symbol);
  return e;
}

}  // namespace ef
