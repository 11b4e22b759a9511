// Reversing: n symbols drawn at random, a sign, and the same backwards: "gfb>bfg". Where to look moves with
// every token: one position back, then three, then five.
#include <algorithm>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("reverse-length", 16, within(1, 1000), "symbols to be reversed");
const Option<Index> symbols("reverse-symbols", 16, within(2, 26), "how many different ones there are");

struct ReverseSource : SymbolsTask {
  explicit ReverseSource(const OptionValues& options)
      : SymbolsTask("reversing", 4, length(options), symbols(options)) {}
  std::vector<std::string> answer(std::vector<std::string> given) const override {
    std::reverse(given.begin(), given.end());
    return given;
  }
};

const Registered<DataSource, ReverseSource> reverse("reverse", "random symbols, and the same backwards",
                                                    {length, symbols});

}  // namespace
}  // namespace ef
