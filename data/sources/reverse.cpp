// Reversing: n symbols drawn at random, a sign, and the same backwards: "gfb>bfg". Where to look moves with
// every token: one position back, then three, then five.
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("reverse-length", 16, within(1, 1000), "symbols to be reversed");
const Option<Index> symbols("reverse-symbols", 16, within(2, 26), "how many different ones there are");

struct ReverseSource : TaskSource {
  Index n;
  std::vector<std::string> alphabet;

  explicit ReverseSource(const OptionValues& options)
      : TaskSource("reversing", 4), n(length(options)), alphabet(letters(symbols(options))) {}

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
    for (Index i = n; i-- > 0;) e.asked(std::string(e.tokens[i]));
    return e;
  }
};

const Registered<DataSource, ReverseSource> reverse("reverse", "random symbols, and the same backwards",
                                                    {length, symbols});

}  // namespace
}  // namespace ef
