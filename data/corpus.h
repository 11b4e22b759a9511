// Corpora: text as streams of token ids, divided into train, valid and test.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "engine/real.h"

namespace ef {

// One stream of tokens.
struct Split {
  std::vector<std::int32_t> ids;
  std::vector<Index> starts;      // where independent documents begin, ascending; empty: nowhere known
  std::vector<float> floor_nats;  // -log p of each token in the true language, given all before it in its
                                  // document: no model can do better on average. Empty: not known
  std::vector<std::uint8_t> scored = {};  // whether a token is one to be predicted; empty: all are
  bool is_scored(Index i) const { return scored.empty() || scored[i] != 0; }
  Index size() const { return std::ssize(ids); }
};

struct Corpus {
  std::string name;
  LearnedTokenizer tokenizer;
  Split train, valid, test;      // test may be empty
  std::int32_t first_input = 0;  // what a model is fed before the first token of a stream
  // What was done to the text while it was read, in words, to be said to a person.
  std::vector<std::string> notes = {};
  // FNV-1a, 64 bits, of vocabulary and streams: tells a resumed run that its data have changed.
  std::uint64_t fingerprint() const;
};

// What a model can reach that sees no context, in nats a token: the mean of -log p over what is scored of
// `text`, p being the token's share of what is scored of `train`. Infinite if `text` has a token that `train`
// lacks; NaN for an empty text.
double unigram_nats(const Split& train, const Split& text);

// `path` is either a UTF-8 file, of which the first 90 % (of characters, or of lines where the tokenizer cuts
// there) train and the rest validates, or a folder with train.txt, valid.txt and perhaps test.txt. A
// byte-order mark at the beginning is dropped, CR LF and CR are read as line ends unless they are kept;
// Corpus::notes say so. tokenizer: a sibling by name. Error if files are missing, empty, binary or not UTF-8,
// or if there is too little text to learn from.
enum class LineEnds { unify, keep };
Corpus load_corpus(const std::string& path, const std::string& tokenizer, const OptionValues& options = {},
                   LineEnds line_ends = LineEnds::unify);

// The built-in language (language.h) as characters: whole stories, as few as reach the given numbers of
// characters, validation stories independent of the training stories. Throws Error if a number is below 1.
Corpus builtin_corpus(std::uint64_t seed, Index train_chars, Index valid_chars);

}  // namespace ef
