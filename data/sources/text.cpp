// A UTF-8 text file, or a folder with train.txt, valid.txt and perhaps test.txt.
#include <filesystem>

#include "data/source.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

const Option<std::string> tokens("tokens", "chars", {"chars", "words"}, "what a token is");

std::string without_words(const OptionValues& values) {
  return tokens(values) == "words" ? "" : "tokens is " + tokens(values);
}
const Option<Index> max_vocabulary("max-vocabulary", 0, at_least(0),
                                   "so many words at most, the commonest; others are <unk> (0: all)",
                                   without_words);

struct TextSource : DataSource {
  Tokenizer::Kind kind_of_tokens;
  Index most;

  explicit TextSource(const OptionValues& options)
      : kind_of_tokens(tokens(options) == "words" ? Tokenizer::Kind::words : Tokenizer::Kind::chars),
        most(max_vocabulary(options)) {
    const bool words = kind_of_tokens == Tokenizer::Kind::words;
    if (most > 0 && !words)
      fail("--max-vocabulary", std::to_string(most) + " with --tokens chars", "--tokens words",
           "characters are never left out");
    if (most > 0 && most < 5) fail("--max-vocabulary", std::to_string(most), "at least 5");
  }

  Corpus load(const std::string& path) const override { return load_corpus(path, kind_of_tokens, most); }
  std::string missing(const std::string& path) const override {
    // An empty folder is what a failed download leaves.
    const std::string text = fs::is_directory(path) ? path + "/train.txt" : path;
    return fs::exists(text) ? "" : "there is no " + text + " (data/fetch --help)";
  }
};

const Registered<DataSource, TextSource> text("text", "a UTF-8 file, or a folder with train.txt, valid.txt",
                                              {tokens, max_vocabulary});

}  // namespace
}  // namespace ef
