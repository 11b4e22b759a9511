// A Markov chain: the next symbol depends on the last one alone. Either there is one table of probabilities
// for all lines, which a model learns by heart, or each line has its own (--markov-in-context), which it has
// to count in the line (Edelman et al. 2024): then rows of the table are drawn from a flat Dirichlet law, and
// the probability of a symbol, given all before it, is Laplace's rule (n_ij + 1) / (n_i + symbols).
#include <cmath>

#include "data/task.h"

namespace ef {
namespace {

const Option<Index> symbols("markov-symbols", 4, within(2, 26), "how many different symbols there are");
const Option<Index> length("markov-length", 64, within(2, 1000), "symbols of a line");
const Option<bool> in_context("markov-in-context", false, "each line has its own table of probabilities");

using Table = std::vector<std::vector<double>>;

// Rows from the flat Dirichlet law: exponential numbers, divided by their sum.
Table drawn(Draws& draws, Index n) {
  Table table(n, std::vector<double>(n));
  for (std::vector<double>& row : table) {
    double sum = 0;
    for (double& p : row) sum += p = -std::log(1 - draws.uniform());
    for (double& p : row) p /= sum;
  }
  return table;
}

struct MarkovSource : TaskSource {
  Index different, n;
  bool own_table;
  Table table;

  explicit MarkovSource(const OptionValues& options)
      : TaskSource("markov", 11),
        different(symbols(options)),
        n(length(options)),
        own_table(in_context(options)) {
    Draws draws(Random{1, stream_of(Purpose::data, 12), 0}, 0);
    table = drawn(draws, different);
  }

  std::vector<std::string> vocabulary() const override { return letters(different); }

  Example write(Draws& draws, bool) const override {
    const std::vector<std::string> all = vocabulary();
    const Table own = own_table ? drawn(draws, different) : table;
    std::vector<std::vector<double>> counts(different, std::vector<double>(different, 0));
    Example e;
    Index last = draws.below(different);
    e.given(all[last], std::log(static_cast<double>(different)));
    for (Index i = 1; i < n; ++i) {
      double u = draws.uniform(), seen = 0;
      Index next = 0;
      for (; next + 1 < different && u >= own[last][next]; ++next) u -= own[last][next];
      for (const double count : counts[last]) seen += count;
      const double known = own[last][next];
      const double counted = (counts[last][next] + 1) / (seen + static_cast<double>(different));
      e.asked(all[next], -std::log(own_table ? counted : known));
      ++counts[last][next];
      last = next;
    }
    return e;
  }
};

const Registered<DataSource, MarkovSource> markov("markov", "a chain of symbols whose entropy is known",
                                                  {symbols, length, in_context});

}  // namespace
}  // namespace ef
