// Text to token ids and back. What a token is (a character, a word, a byte) is a sibling's choice, one file
// each in data/tokenizers/. What they share stands here: a vocabulary, each token a string of bytes, and its
// file.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/option.h"
#include "engine/real.h"
#include "engine/registry.h"

namespace ef {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  static constexpr const char* kind = "tokenizer";
  using Factory = std::function<std::unique_ptr<Tokenizer>(const OptionValues&)>;

  // ---- What each does its own way

  // Makes the vocabulary, from the training text, which is the first, and from the held-out ones if what they
  // have and it lacks must have a token, too. Calls set_tokens(). Error if a text is not UTF-8.
  virtual void learn(std::span<const std::string_view> texts) = 0;
  // Error if the text is not UTF-8, or has what the vocabulary has no token for.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  // The same for a text that is to be gone on from: what would close its end is left out.
  virtual std::vector<std::int32_t> encode_prompt(std::string_view text) const { return encode(text); }
  // Error if an id is not in [0, V).
  virtual std::string decode(std::span<const std::int32_t> ids) const;
  // What a model is fed before the first token of a text. Of most, the end of a line, or 0 if there is none.
  virtual std::int32_t first_input() const { return std::max(find("\n"), std::int32_t{0}); }
  // Whether a file is to be cut between lines only, to train on one part and to validate on the other.
  virtual bool cuts_at_lines() const { return false; }
  // A token as a line of the tokenizer's file, and back. Error if it is no such line.
  virtual std::string line_of(const std::string& token) const = 0;
  virtual std::string token_of(std::string_view line) const = 0;
  // Error if the tokens of a file cannot be a vocabulary of this kind.
  virtual void check_tokens() const {}

  // ---- What they share: the vocabulary

  Index vocab_size() const { return std::ssize(tokens_); }  // V
  // Error if the id is not in [0, V).
  const std::string& token(std::int32_t id) const;
  // -1 if there is none.
  std::int32_t find(std::string_view token) const;
  // Error if a token occurs twice.
  void set_tokens(std::vector<std::string> tokens);

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;  // look up a string_view without making a string
  };
  std::vector<std::string> tokens_;                                           // by id
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;  // and back
};

// A vocabulary that is there to stay: copies of a corpus share it.
struct LearnedTokenizer {
  std::string name;  // of the sibling
  std::shared_ptr<const Tokenizer> tokenizer;
  const Tokenizer* operator->() const { return tokenizer.get(); }
  const Tokenizer& operator*() const { return *tokenizer; }
};

// The sibling of that name, with the vocabulary of these texts. Error as Tokenizer::learn().
LearnedTokenizer learn_tokenizer(const std::string& name, std::span<const std::string_view> texts,
                                 const OptionValues& options = {});
// The characters of one text: what makers of text mostly need.
LearnedTokenizer characters_of(std::string_view text);

// As plain text: "eigenformer tokenizer 1 NAME V", then a token a line, by id.
std::string save(const LearnedTokenizer& tokenizer);
// Error if `text` is cut off, of another format, names a token twice, or what no such tokenizer can be.
LearnedTokenizer load_tokenizer(std::string_view text);

}  // namespace ef
