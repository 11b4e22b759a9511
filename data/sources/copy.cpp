// Copying: n symbols drawn at random, a sign, and the same n symbols again, a line each:
//
//   gfbhae>gfbhae
//
// Only the copy is scored, and the end of its line. Who attends n + 1 tokens back knows each of these for
// sure: the floor is 0. Who does not can do no better than to guess, at log(symbols) nats.
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("copy-length", 16, within(1, 1000), "symbols to be copied");
const Option<Index> symbols("copy-symbols", 16, within(2, 26), "how many different ones there are");

struct CopySource : TaskSource {
  Index n;
  std::vector<std::string> alphabet;

  explicit CopySource(const OptionValues& options)
      : TaskSource("copying", 3), n(length(options)), alphabet(letters(symbols(options))) {}

  std::vector<std::string> vocabulary() const override {
    std::vector<std::string> all = alphabet;
    all.emplace_back(">");
    return all;
  }

  Example write(Draws& draws, bool) const override {
    Example e;
    const Index different = std::ssize(alphabet);
    const double guess = std::log(static_cast<double>(different));
    for (Index i = 0; i < n; ++i) e.given(alphabet[draws.below(different)], guess);
    e.given(">", 0);
    for (Index i = 0; i < n; ++i) e.asked(std::string(e.tokens[i]));
    return e;
  }
};

const Registered<DataSource, CopySource> copy("copy", "random symbols, and the same again",
                                              {length, symbols});

}  // namespace
}  // namespace ef
