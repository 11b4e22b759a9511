// Recall, or induction: pairs of a key and a value, then the keys again in another order, each followed by
// its value:
//
//   a3 c1 b3 > c1 a3 b3      (without the spaces)
//
// Only the values behind the sign are scored. To know one a head finds the same key further up and reads what
// came after it: an induction head (Olsson et al. 2022), made of two heads in two layers, of which the first
// looks at the token before.
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> pairs("recall-pairs", 8, within(1, 26), "keys, each with a value");
const Option<Index> values("recall-values", 10, within(2, 10), "how many different values there are");

struct RecallSource : TaskSource {
  Index n, different;

  explicit RecallSource(const OptionValues& options)
      : TaskSource("recall", 6), n(pairs(options)), different(values(options)) {}

  std::vector<std::string> vocabulary() const override {
    std::vector<std::string> all = letters(26);
    for (Index value = 0; value < different; ++value) all.push_back(std::to_string(value));
    all.emplace_back(">");
    return all;
  }

  Example write(Draws& draws, bool) const override {
    Example e;
    const std::vector<std::string> keys = letters(26);
    const std::vector<Index> chosen = draws.order(26);
    std::vector<std::string> value_of(n);
    for (Index i = 0; i < n; ++i) {
      e.given(keys[chosen[i]], std::log(static_cast<double>(26 - i)));
      value_of[i] = std::to_string(draws.below(different));
      e.given(value_of[i], std::log(static_cast<double>(different)));
    }
    e.given(">", 0);
    const std::vector<Index> again = draws.order(n);
    for (Index i = 0; i < n; ++i) {
      e.given(keys[chosen[again[i]]], std::log(static_cast<double>(n - i)));
      e.asked(value_of[again[i]]);
    }
    return e;
  }
};

const Registered<DataSource, RecallSource> recall("recall", "keys with values, and the keys again",
                                                  {pairs, values});

}  // namespace
}  // namespace ef
