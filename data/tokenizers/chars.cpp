// One token for each Unicode code point, sorted by code point. Nothing is lost: any text comes back.
#include <charconv>
#include <set>

#include "data/tokenizer.h"
#include "data/utf8.h"

namespace ef {
namespace {

// Calls visit(character, its byte offset) for each character of a UTF-8 text.
template <class Visit>
void for_each_char(std::string_view text, Visit visit) {
  for (Index at = 0; at < std::ssize(text);) {
    const Index begin = at;
    next_code_point(text, at);
    visit(text.substr(begin, at - begin), begin);
  }
}

// A character as a person can read it: the letter itself unless it is a control character, and its number.
std::string describe(std::string_view character) {
  Index at = 0;
  const char32_t c = next_code_point(character, at);
  const std::string name = code_point_name(c);
  if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return name;
  return std::string("'").append(character).append("' (").append(name).append(")");
}

struct Characters : Tokenizer {
  explicit Characters(const OptionValues&) {}

  // Those of the held-out texts, too: there is no token for an unknown one.
  void learn(std::span<const std::string_view> texts) override {
    std::set<std::string, std::less<>> seen;  // the byte order of UTF-8 is the order of code points
    for (const std::string_view text : texts) {
      for_each_char(text, [&](std::string_view c, Index) {
        if (!seen.contains(c)) seen.emplace(c);
      });
    }
    set_tokens({seen.begin(), seen.end()});
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<std::int32_t> ids;
    for_each_char(text, [&](std::string_view c, Index at) {
      ids.push_back(find(c));
      if (ids.back() < 0) reject(c, at);
    });
    return ids;
  }

  [[noreturn]] void reject(std::string_view character, Index at) const {
    constexpr std::size_t shown = 100;  // enough for the letters of a small vocabulary
    std::string known;
    for (std::int32_t id = 0; id < vocab_size() && known.size() < shown; ++id)
      if (token(id) != "\n") known += token(id);
    fail("character not in the vocabulary", describe(character) + " at byte " + std::to_string(at),
         "one of the " + std::to_string(vocab_size()) + " characters of the training text",
         "among them " + known);
  }

  // "U+0041"
  std::string line_of(const std::string& token) const override {
    Index at = 0;
    return code_point_name(next_code_point(token, at));
  }
  std::string token_of(std::string_view line) const override {
    std::uint32_t c = 0;
    const bool named = line.starts_with("U+");
    const char* last = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + (named ? 2 : 0), last, c, 16);
    // Written back it must be the same: this also rejects "U+41" and "U+0041 ".
    if (!named || error != std::errc() || stop != last || code_point_name(c) != line)
      fail("a token", in_quotes(line), "a code point such as U+0041");
    return to_utf8(c);
  }
};

const Registered<Tokenizer, Characters> chars("chars", "each character");

}  // namespace
}  // namespace ef
