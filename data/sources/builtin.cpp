// The built-in language (data/language.h): stories in characters, whose entropy is known.
#include "data/language.h"
#include "data/source.h"

namespace ef {
namespace {

struct BuiltInSource : DataSource {
  explicit BuiltInSource(const OptionValues&) {}

  // Enough that no story is seen twice in a run of the default length; it is made in a second.
  Corpus load(const std::string&) const override { return builtin_corpus(1, 8'000'000, 100'000); }
  bool documents() const override { return true; }

  std::string judge(const std::string& written) const override {
    Index whole = 0, grammatical = 0;
    std::string fault;
    for (std::size_t begin = 0, end; (end = written.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      const std::string story = written.substr(begin, end + 1 - begin);
      const Verdict verdict = read_story(story);
      ++whole;
      if (verdict.grammatical) {
        ++grammatical;
      } else if (fault.empty()) {
        fault = "; the first fault is after \"" + story.substr(0, verdict.accepted) + "\"";
      }
    }
    return "grammar  " + std::to_string(grammatical) + " of " + std::to_string(whole) +
           " whole stories belong to the language, to the letter" + fault;
  }
};

const Registered<DataSource, BuiltInSource> builtin("builtin", "the built-in language, whose floor is known");

}  // namespace
}  // namespace ef
