// Dyck's language: brackets of several kinds that close in the right order, "([]{})[()]", at most so deep. At
// each place a new one opens with probability 1/2, of any kind, or the last one closes; at depth 0 the line
// ends instead, and at the largest depth, or where the rest of the line is needed to close, one closes for
// sure. All is scored, and each token's probability is known: to reach the floor a model has to know which
// bracket is open, however far back.
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> kinds("brackets-kinds", 3, within(1, 4), "kinds of brackets");
const Option<Index> depth("brackets-depth", 6, within(1, 100), "how deep at most");
const Option<Index> length("brackets-length", 60, within(2, 1000),
                           "tokens of a line at most, an even number");

struct BracketSource : TaskSource {
  Index different, deepest, longest;

  explicit BracketSource(const OptionValues& options)
      : TaskSource("brackets", 9),
        different(kinds(options)),
        deepest(depth(options)),
        longest(length(options)) {
    if (longest % 2 != 0) fail("--brackets-length", std::to_string(longest), "an even number");
  }

  std::vector<std::string> vocabulary() const override { return {"(", ")", "[", "]", "{", "}", "<", ">"}; }

  Example write(Draws& draws, bool) const override {
    const std::vector<std::string> all = vocabulary();
    const double of_kind = std::log(static_cast<double>(different));
    Example e;
    std::vector<Index> open;
    while (true) {
      const Index written = std::ssize(e.tokens), left = longest - written, now = std::ssize(open);
      const bool may_open = now < deepest && left >= now + 2;
      const bool may_stop = written > 0;  // closing, or at depth 0 the end of the line
      const double choice = may_open && may_stop ? std::log(2.0) : 0;
      if (may_open && (!may_stop || draws.below(2) == 0)) {
        open.push_back(draws.below(different));
        e.asked(all[2 * open.back()], choice + of_kind);
      } else if (now > 0) {
        e.asked(all[2 * open.back() + 1], choice);
        open.pop_back();
      } else {
        return e;
      }
    }
  }
  // A full line must end.
  double end_nats(const Example& e) const override {
    return std::ssize(e.tokens) + 2 <= longest ? std::log(2.0) : 0;
  }
};

const Registered<DataSource, BracketSource> brackets("brackets", "brackets that close in the right order",
                                                     {kinds, depth, length});

}  // namespace
}  // namespace ef
