// Random walks, as the paper's tokens are, but on a ring instead of in R^C, as a text is made of ids: from
// one place to the next by -1, 0 or 1, all equally probable. Every token is like the ones before it, the less
// so the further back they are. The floor is log 3; to reach it, look at the last token.
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> places("walk-places", 26, within(4, 26), "places of the ring");
const Option<Index> length("walk-length", 64, within(2, 1000), "steps of a walk");

struct WalkSource : TaskSource {
  Index ring, n;

  explicit WalkSource(const OptionValues& options)
      : TaskSource("walk", 13), ring(places(options)), n(length(options)) {}

  std::vector<std::string> vocabulary() const override { return letters(ring); }

  Example write(Draws& draws, bool) const override {
    const std::vector<std::string> all = vocabulary();
    Example e;
    Index at = draws.below(ring);
    e.given(all[at], std::log(static_cast<double>(ring)));
    for (Index i = 1; i < n; ++i) {
      at = (at + draws.below(3) + ring - 1) % ring;
      e.asked(all[at], std::log(3.0));
    }
    return e;
  }
};

const Registered<DataSource, WalkSource> walk("walk", "random walks on a ring of letters", {places, length});

}  // namespace
}  // namespace ef
