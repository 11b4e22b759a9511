// Sorting: n symbols drawn at random, a sign, and the same in order: "gfbg>bfgg". Here it matters what the
// tokens are, not where they stand: find the smallest that is not smaller than the last one, and count.
#include <algorithm>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("sort-length", 12, within(1, 1000), "symbols to be sorted");
const Option<Index> symbols("sort-symbols", 16, within(2, 26), "how many different ones there are");

struct SortSource : SymbolsTask {
  explicit SortSource(const OptionValues& options)
      : SymbolsTask("sorting", 5, length(options), symbols(options)) {}
  std::vector<std::string> answer(std::vector<std::string> given) const override {
    std::sort(given.begin(), given.end());
    return given;
  }
};

const Registered<DataSource, SortSource> sort("sort", "random symbols, and the same in order",
                                              {length, symbols});

}  // namespace
}  // namespace ef
