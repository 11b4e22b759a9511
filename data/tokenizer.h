// Text to token ids and back.
//
// Two kinds, each one vocabulary that is learned from a text:
//   chars  one token per Unicode code point, sorted by code point; nothing is lost, any text comes back.
//   words  fairseq's dictionary (fairseq/data/dictionary.py, v0.12.2): split on white space, one </s> at the
//          end of each line, blank lines included. Ids: 0 <s>, 1 <pad>, 2 </s>, 3 <unk>, then words by count,
//          largest first, ties by code point. A word that the training text lacks becomes <unk>. fairseq also
//          fills the dictionary up to a multiple of 8; that is not done here, and changes nothing for
//          WikiText-2, whose 33,280 entries are one already. A dictionary may be cut off after its commonest
//          words (fairseq's --nwordssrc), so that the output layer, most of the work of a small model, is
//          less work; the words cut off become <unk>, which makes the task easier: perplexities of two
//          dictionaries cannot be compared.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/real.h"

namespace ef {

class Tokenizer {  // a value: copies are independent
 public:
  enum class Kind { chars, words };
  static constexpr std::int32_t kEndOfLine = 2, kUnknown = 3;  // ids of </s> and <unk>, kind words

  // The vocabulary of a text. Throws Error if it is not UTF-8. `max_vocabulary` is the most entries
  // that words may have, special ones included; 0: as many as there are. Throws Error if it leaves no word.
  static Tokenizer from_chars(std::string_view text);
  static Tokenizer from_words(std::string_view text, Index max_vocabulary = 0);

  Kind kind() const { return kind_; }
  Index vocab_size() const { return std::ssize(tokens_); }  // V
  // Throws Error if the id is not in [0, V).
  const std::string& token(std::int32_t id) const;
  // The id of a token (one character in UTF-8, or a word), -1 if there is none.
  std::int32_t find(std::string_view token) const;

  // Throws Error if the text is not UTF-8 or, for chars, has a character that is not in the vocabulary.
  std::vector<std::int32_t> encode(std::string_view text) const;
  // Words are joined by spaces, and </s> ends a line. Throws Error if an id is not in [0, V).
  std::string decode(std::span<const std::int32_t> ids) const;

  // As plain text: "eigenformer tokenizer 1 KIND V", then a token a line, characters as U+0041.
  std::string save() const;
  // Throws Error if `text` is cut off, of another format, or names a token twice.
  static Tokenizer load(std::string_view text);

 private:
  Tokenizer(Kind kind, std::vector<std::string> tokens);
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;  // look up a string_view without making a string
  };

  Kind kind_;
  std::vector<std::string> tokens_;                                           // by id
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;  // and back
};

}  // namespace ef
