// fairseq's dictionary (fairseq/data/dictionary.py, v0.12.2): split on white space, one </s> at the end of
// each line, blank lines included. Ids: 0 <s>, 1 <pad>, 2 </s>, 3 <unk>, then words by count, largest first,
// ties by code point. A word that the training text lacks becomes <unk>. fairseq also fills the dictionary up
// to a multiple of 8; that is not done here, and changes nothing for WikiText-2, whose 33,280 entries are one
// already.
//
// A dictionary may be cut off after its commonest words (fairseq's --nwordssrc), so that the output layer,
// most of the work of a small model, is less work. The words cut off become <unk>, which makes the task
// easier: perplexities of two dictionaries cannot be compared.
#include <algorithm>
#include <array>

#include "data/tokenizer.h"
#include "data/utf8.h"

namespace ef {
namespace {

constexpr std::array<std::string_view, 4> special = {"<s>", "<pad>", "</s>", "<unk>"};
constexpr std::int32_t end_of_line = 2, unknown = 3;

const Option<Index> max_vocabulary("max-vocabulary", 0, at_least(0),
                                   "so many words at most, the commonest; others are <unk> (0: all)");

// Calls visit(word) for each word, and visit("</s>") at the end of each line. A last line without '\n' is a
// line as well; an empty one is not.
template <class Visit>
void for_each_word(std::string_view text, Visit visit) {
  Index word = 0, at = 0;
  const auto end_word = [&](Index end) {
    if (end > word) visit(text.substr(word, end - word));
  };
  while (at < std::ssize(text)) {
    const Index begin = at;
    const char32_t c = next_code_point(text, at);
    if (!is_space(c)) continue;
    end_word(begin);
    if (c == '\n') visit(special[end_of_line]);
    word = at;
  }
  end_word(at);
  if (!text.empty() && text.back() != '\n') visit(special[end_of_line]);
}

struct Words : Tokenizer {
  Index most;

  explicit Words(const OptionValues& options) : most(max_vocabulary(options)) {
    if (most != 0 && most <= std::ssize(special))
      fail(
          "--max-vocabulary", std::to_string(most),
          "at least " + std::to_string(special.size() + 1) + " (of which 4 are special), or 0 for all words");
  }

  void learn(std::span<const std::string_view> texts) override {
    std::unordered_map<std::string_view, Index> counts;
    for_each_word(texts.front(), [&](std::string_view word) { ++counts[word]; });
    // WikiText spells rare words "<unk>" in the text itself: they are the special entry, not a second one.
    for (const std::string_view entry : special) counts.erase(entry);

    std::vector<std::pair<std::string_view, Index>> words(counts.begin(), counts.end());
    std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    std::vector<std::string> tokens(special.begin(), special.end());
    for (const auto& [word, count] : words) {
      if (std::ssize(tokens) == most) break;
      tokens.emplace_back(word);
    }
    set_tokens(std::move(tokens));
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    for_each_word(text, [&](std::string_view word) {
      const std::int32_t id = find(word);
      ids.push_back(id < 0 ? unknown : id);
    });
    return ids;
  }

  // The end of a prompt is not the end of its line.
  std::vector<std::int32_t> encode_prompt(std::string_view text) const override {
    std::vector<std::int32_t> ids = encode(text);
    if (!ids.empty()) ids.pop_back();
    return ids;
  }

  // Words are joined by spaces, and </s> ends a line.
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    for (const std::int32_t id : ids) {
      if (id == end_of_line) {
        text += '\n';
        continue;
      }
      if (!text.empty() && text.back() != '\n') text += ' ';
      text += token(id);
    }
    return text;
  }

  std::int32_t first_input() const override { return end_of_line; }
  bool cuts_at_lines() const override { return true; }

  std::string line_of(const std::string& token) const override { return token; }
  std::string token_of(std::string_view line) const override {
    if (line.empty()) fail("a token", "an empty line", "a word");
    for (Index at = 0; at < std::ssize(line);)
      if (is_space(next_code_point(line, at))) fail("a token", in_quotes(line), "a word without white space");
    return std::string(line);
  }
  void check_tokens() const override {
    for (std::int32_t id = 0; id < std::ssize(special); ++id) {
      const std::string_view expected = special[id];
      const std::string got = id < vocab_size() ? in_quotes(token(id)) : "nothing";
      if (find(expected) != id) fail("tokenizer: line " + std::to_string(id + 2), got, in_quotes(expected));
    }
  }
};

const Registered<Tokenizer, Words> words("words", "each word, as fairseq's dictionary", {max_vocabulary});

}  // namespace
}  // namespace ef
