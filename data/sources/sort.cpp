// Sorting: n symbols drawn at random, a sign, and the same in order: "gfbg>bfgg". Here it matters what the
// tokens are, not where they stand: find the smallest that is not smaller than the last one, and count.
#include <algorithm>
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("sort-length", 12, within(1, 1000), "symbols to be sorted");
const Option<Index> symbols("sort-symbols", 16, within(2, 26), "how many different ones there are");

struct SortSource : TaskSource {
  Index n;
  std::vector<std::string> alphabet;

  explicit SortSource(const OptionValues& options)
      : TaskSource("sorting", 5), n(length(options)), alphabet(letters(symbols(options))) {}

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
    std::vector<std::string> sorted = e.tokens;
    std::sort(sorted.begin(), sorted.end());
    e.given(">", 0);
    for (const std::string& symbol : sorted) e.asked(symbol);
    return e;
  }
};

const Registered<DataSource, SortSource> sort("sort", "random symbols, and the same in order",
                                              {length, symbols});

}  // namespace
}  // namespace ef
