// Copying: n symbols drawn at random, a sign, and the same n symbols again, a line each:
//
//   gfbhae>gfbhae
//
// Only the copy is scored, and the end of its line. Who attends n + 1 tokens back knows each of these for
// sure: the floor is 0. Who does not can do no better than to guess, at log(symbols) nats.
#include <cmath>

#include "data/source.h"
#include "engine/random.h"

namespace ef {
namespace {

const Option<Index> length("copy-length", 16, within(1, 1000), "symbols to be copied");
const Option<Index> symbols("copy-symbols", 16, within(2, 26), "how many different ones there are");

const std::uint64_t stream = stream_of(Purpose::data, 3);

struct CopySource : DataSource {
  Index n, different;

  explicit CopySource(const OptionValues& options) : n(length(options)), different(symbols(options)) {}
  bool documents() const override { return true; }

  Corpus load(const std::string&) const override {
    std::string alphabet = "\n>";
    for (Index i = 0; i < different; ++i) alphabet += static_cast<char>('a' + i);
    const LearnedTokenizer tokenizer = characters_of(alphabet);
    constexpr std::uint64_t held_out = std::uint64_t{1} << 40;  // far from where training lines end
    return {"copying",
            tokenizer,
            write(tokenizer, 0, 4'000'000),
            write(tokenizer, held_out, 40'000),
            {},
            tokenizer->first_input()};
  }

  // Lines from the first on, as few as have so many tokens.
  Split write(const LearnedTokenizer& tokenizer, std::uint64_t first, Index tokens) const {
    Split split;
    const Random random{1, stream, 0};
    for (std::uint64_t line = first; split.size() < tokens; ++line) {
      split.starts.push_back(split.size());
      std::string word;
      for (Index i = 0; i < n; ++i)
        word += static_cast<char>('a' + random.below((line << 20) + static_cast<std::uint64_t>(i),
                                                     static_cast<std::uint64_t>(different)));
      for (const std::int32_t id : tokenizer->encode(word + ">" + word + "\n")) {
        const Index at = split.size() - split.starts.back();
        split.ids.push_back(id);
        split.scored.push_back(at > n);
        split.floor_nats.push_back(at < n ? static_cast<float>(std::log(static_cast<double>(different))) : 0);
      }
    }
    return split;
  }
};

const Registered<DataSource, CopySource> copy("copy", "random symbols, and the same again",
                                              {length, symbols});

}  // namespace
}  // namespace ef
