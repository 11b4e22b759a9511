// Addition modulo a prime: "12 + 46 = 58". Each pair of numbers belongs to the training text or to the
// held-out one, so that only who has found the rule knows the held-out sums. A model first learns the pairs
// by heart, and finds the rule long after (grokking: Power et al. 2022). Weight decay and a large share of
// pairs make it come sooner.
#include "data/task.h"

namespace ef {
namespace {

const Option<Index> modulus("addition-modulus", 59, within(2, 997), "sums are taken modulo this");
const Option<double> share("addition-share", 0.6, within(0.01, 0.99),
                           "of all pairs, those that are trained on");

struct AdditionSource : TaskSource {
  Index p;
  double trained;

  explicit AdditionSource(const OptionValues& options)
      : TaskSource("addition", 7), p(modulus(options)), trained(share(options)) {}

  std::vector<std::string> vocabulary() const override {
    std::vector<std::string> all = {"+", "="};
    for (Index n = 0; n < p; ++n) all.push_back(std::to_string(n));
    return all;
  }

  // A function of the pair alone.
  bool is_held_out(Index a, Index b) const {
    const Random random{1, stream_of(Purpose::data, 8), 0};
    return random.uniform(static_cast<std::uint64_t>(a * p + b)) >= trained;
  }

  // The numbers given are drawn until they are a pair of the right kind, so that their own nats are not known
  // in closed form: as they are not scored, they count nowhere.
  Example write(Draws& draws, bool held_out) const override {
    Index a = 0, b = 0;
    for (int tries = 0; tries < 10'000; ++tries) {
      a = draws.below(p);
      b = draws.below(p);
      if (is_held_out(a, b) == held_out) break;
    }
    Example e;
    e.given(std::to_string(a), 0);
    e.given("+", 0);
    e.given(std::to_string(b), 0);
    e.given("=", 0);
    e.asked(std::to_string((a + b) % p));
    return e;
  }
  double end_nats(const Example&) const override { return -1; }  // it comes always at the same place
};

const Registered<DataSource, AdditionSource> addition("addition", "sums modulo a prime, some pairs held out",
                                                      {modulus, share});

}  // namespace
}  // namespace ef
