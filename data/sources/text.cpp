// A UTF-8 text file, or a folder with train.txt, valid.txt and perhaps test.txt.
#include <filesystem>

#include "data/source.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

const Choice<Tokenizer> tokens("tokens", "chars", "what a token is");

const Option<bool> keep_line_ends("keep-line-ends", false,
                                  "CR LF and CR stay what they are, and are not read as line ends");

struct TextSource : DataSource {
  std::string tokenizer;
  OptionValues options;  // the tokenizer's

  explicit TextSource(const OptionValues& values) : tokenizer(tokens(values)), options(values) {
    Registry<Tokenizer>::make(tokenizer, options);  // Error if an option cannot be
  }

  Corpus load(const std::string& path) const override {
    return load_corpus(path, tokenizer, options, keep_line_ends(options) ? LineEnds::keep : LineEnds::unify);
  }
  std::string missing(const std::string& path) const override {
    // An empty folder is what a failed download leaves.
    const std::string text = fs::is_directory(path) ? path + "/train.txt" : path;
    return fs::exists(text) ? "" : "there is no " + text + " (data/fetch --help)";
  }
};

const Registered<DataSource, TextSource> text("text", "a UTF-8 file, or a folder with train.txt, valid.txt",
                                              {tokens, keep_line_ends});

}  // namespace
}  // namespace ef
