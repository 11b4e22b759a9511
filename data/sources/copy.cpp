// Copying: n symbols drawn at random, a sign, and the same n symbols again, a line each:
//
//   gfbhae>gfbhae
//
// Only the copy is scored, and the end of its line. Who attends n + 1 tokens back knows each of these for
// sure: the floor is 0. Who does not can do no better than to guess, at log(symbols) nats.
#include "data/task.h"

namespace ef {
namespace {

const Option<Index> length("copy-length", 16, within(1, 1000), "symbols to be copied");
const Option<Index> symbols("copy-symbols", 16, within(2, 26), "how many different ones there are");

struct CopySource : SymbolsTask {
  explicit CopySource(const OptionValues& options)
      : SymbolsTask("copying", 3, length(options), symbols(options)) {}
  std::vector<std::string> answer(std::vector<std::string> given) const override { return given; }
};

const Registered<DataSource, CopySource> copy("copy", "random symbols, and the same again",
                                              {length, symbols});

}  // namespace
}  // namespace ef
