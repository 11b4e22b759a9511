#include "data/tokenizer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <set>

#include "data/utf8.h"
#include "engine/error.h"

namespace ef {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "'";
  result += text;
  return result += "'";
}

constexpr std::array<std::string_view, 4> kSpecial = {"<s>", "<pad>", "</s>", "<unk>"};
constexpr std::string_view kFormat = "eigenformer tokenizer 1";

std::string_view slice(std::string_view text, Index begin, Index end) {
  return text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

// Calls visit(character, its byte offset) for each character of a UTF-8 text.
template <class Visit>
void for_each_char(std::string_view text, Visit visit) {
  for (Index at = 0; at < std::ssize(text);) {
    const Index begin = at;
    next_code_point(text, at);
    visit(slice(text, begin, at), begin);
  }
}

// Calls visit(word) for each word, and visit("</s>") at the end of each line. A last line without '\n' is a
// line as well; an empty one is not.
template <class Visit>
void for_each_word(std::string_view text, Visit visit) {
  Index word = 0, at = 0;
  const auto end_word = [&](Index end) {
    if (end > word) visit(slice(text, word, end));
  };
  while (at < std::ssize(text)) {
    const Index begin = at;
    const char32_t c = next_code_point(text, at);
    if (!is_space(c)) continue;
    end_word(begin);
    if (c == '\n') visit(kSpecial[Tokenizer::kEndOfLine]);
    word = at;
  }
  end_word(at);
  if (!text.empty() && text.back() != '\n') visit(kSpecial[Tokenizer::kEndOfLine]);
}

// A character as a person can read it: the letter itself unless it is a control character, and its number.
std::string describe(std::string_view character) {
  Index at = 0;
  const char32_t c = next_code_point(character, at);
  const std::string name = code_point_name(c);
  return c < 0x20 || (c >= 0x7F && c < 0xA0) ? name : quoted(character) + " (" + name + ")";
}

}  // namespace

Tokenizer::Tokenizer(Kind kind, std::vector<std::string> tokens) : kind_(kind), tokens_(std::move(tokens)) {
  for (const std::string& token : tokens_) {
    const auto id = static_cast<std::int32_t>(ids_.size());
    if (!ids_.emplace(token, id).second) fail("tokenizer: the token '" + token + "' occurs twice");
  }
}

Tokenizer Tokenizer::from_chars(std::string_view text) {
  // The byte order of UTF-8 is the order of code points.
  std::set<std::string, std::less<>> seen;
  for_each_char(text, [&](std::string_view c, Index) {
    if (!seen.contains(c)) seen.emplace(c);
  });
  return {Kind::chars, {seen.begin(), seen.end()}};
}

Tokenizer Tokenizer::from_words(std::string_view text, Index max_vocabulary) {
  if (max_vocabulary != 0 && max_vocabulary <= std::ssize(kSpecial))
    fail("tokenizer: size of the vocabulary", std::to_string(max_vocabulary),
         "at least " + std::to_string(kSpecial.size() + 1) + " (of which 4 are special), or 0 for all words");
  std::unordered_map<std::string, Index, Hash, std::equal_to<>> counts;
  for_each_word(text, [&](std::string_view word) {
    const auto found = counts.find(word);
    if (found != counts.end()) {
      ++found->second;
    } else {
      counts.emplace(word, 1);
    }
  });
  // WikiText spells rare words "<unk>" in the text itself: they are the special entry, not a second one.
  for (const std::string_view special : kSpecial) counts.erase(std::string(special));

  std::vector<std::pair<std::string, Index>> words(counts.begin(), counts.end());
  std::sort(words.begin(), words.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<std::string> tokens(kSpecial.begin(), kSpecial.end());
  for (auto& [word, count] : words) {
    if (std::ssize(tokens) == max_vocabulary) break;
    tokens.push_back(std::move(word));
  }
  return {Kind::words, std::move(tokens)};
}

const std::string& Tokenizer::token(std::int32_t id) const {
  if (id < 0 || id >= vocab_size())
    fail("token id out of range", std::to_string(id), "0 to " + std::to_string(vocab_size() - 1),
         "is the text from another tokenizer?");
  return tokens_[static_cast<std::size_t>(id)];
}

std::int32_t Tokenizer::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? -1 : found->second;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  if (kind_ == Kind::words) {
    for_each_word(text, [&](std::string_view word) {
      const std::int32_t id = find(word);
      ids.push_back(id < 0 ? kUnknown : id);
    });
    return ids;
  }
  for_each_char(text, [&](std::string_view c, Index at) {
    ids.push_back(find(c));
    if (ids.back() >= 0) return;
    constexpr std::size_t kShown = 100;  // enough for the letters of a small vocabulary
    std::string known;
    for (const std::string& token : tokens_)
      if (known.size() < kShown && token != "\n") known += token;
    fail("character not in the vocabulary", describe(c) + " at byte " + std::to_string(at),
         "one of the " + std::to_string(vocab_size()) + " characters of the training text",
         "among them " + known);
  });
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (const std::int32_t id : ids) {
    if (kind_ == Kind::words && id == kEndOfLine) {
      text += '\n';
      continue;
    }
    if (kind_ == Kind::words && !text.empty() && text.back() != '\n') text += ' ';
    text += token(id);
  }
  return text;
}

std::string Tokenizer::save() const {
  const bool chars = kind_ == Kind::chars;
  std::string text =
      std::string(kFormat) + (chars ? " chars " : " words ") + std::to_string(vocab_size()) + "\n";
  for (const std::string& token : tokens_) {
    Index at = 0;
    text += (chars ? code_point_name(next_code_point(token, at)) : token) + "\n";
  }
  return text;
}

Tokenizer Tokenizer::load(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) fail("tokenizer: the last line is cut off");
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  const std::string header(lines.empty() ? "" : lines[0]);
  const std::string start(kFormat);
  const bool chars = header.starts_with(start + " chars ");
  if (!chars && !header.starts_with(start + " words "))
    fail("tokenizer: wrong first line", "'" + header.substr(0, 60) + "'", "'" + start + " chars|words V'");
  const std::string count = header.substr(start.size() + 7);
  if (count != std::to_string(lines.size() - 1))
    fail("tokenizer: wrong number of tokens", std::to_string(lines.size() - 1), count,
         "is the file cut off?");
  lines.erase(lines.begin());

  std::vector<std::string> tokens;
  for (const std::string_view line : lines) {
    const std::string place = "tokenizer, line " + std::to_string(tokens.size() + 2);
    const std::string got = quoted(line.substr(0, 60));
    if (chars) {
      std::uint32_t c = 0;
      const bool named = line.starts_with("U+");
      const char* first = line.data() + (named ? 2 : 0);
      const char* last = line.data() + line.size();
      const auto [stop, error] = std::from_chars(first, last, c, 16);
      // Written back it must be the same: this also rejects "U+41" and "U+0041 ".
      if (!named || error != std::errc() || stop != last || code_point_name(c) != line)
        fail(place, got, "a code point such as U+0041");
      tokens.push_back(to_utf8(c));
    } else {
      for (Index at = 0; at < std::ssize(line);)
        if (is_space(next_code_point(line, at))) fail(place, got, "a word without white space");
      if (line.empty()) fail(place, "an empty line", "a word");
      if (tokens.size() < kSpecial.size() && line != kSpecial[tokens.size()])
        fail(place, got, quoted(kSpecial[tokens.size()]));
      tokens.emplace_back(line);
    }
  }
  if (!chars && tokens.size() < kSpecial.size()) fail("tokenizer: <s>, <pad>, </s>, <unk> are missing");
  return {chars ? Kind::chars : Kind::words, std::move(tokens)};
}

}  // namespace ef
