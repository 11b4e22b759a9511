// Two heads that find what came before: one looks at the token before, one at what followed the last time
// (Olsson et al. 2022). Both are means over rows of the attention that goes there.
#include "models/probes/shared.h"

namespace ef {
namespace {

using namespace probes;

void read_previous(const TextObservation& o, Reading& r) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const PatternOfShares shares(o, layer, r);
    const Tensor& pattern = shares.pattern;  // [H, T, T]
    const Index tokens = pattern.shape.last();
    if (pattern.size() == 0 || tokens < 2) continue;
    for (Index head = 0; head < o.heads(); ++head) {
      double sum = 0;
      for (Index n = 1; n < tokens; ++n)
        sum += static_cast<double>(pattern.data[(head * tokens + n) * tokens + n - 1]);
      r.add(layer, head, "score", sum / static_cast<double>(tokens - 1));
    }
  }
}

// A row's attention to all tokens that stand behind an earlier one of its own kind; of rows that have such.
void read_induction(const TextObservation& o, Reading& r) {
  if (o.inputs.empty()) {
    r.missing.insert("the ids of the window are not given");
    return;
  }
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const PatternOfShares shares(o, layer, r);
    const Tensor& pattern = shares.pattern;
    const Index tokens = pattern.shape.last();
    if (pattern.size() == 0 || std::ssize(o.inputs) != tokens) continue;
    for (Index head = 0; head < o.heads(); ++head) {
      double sum = 0, rows = 0, even = 0;
      for (Index n = 1; n < tokens; ++n) {
        const Real* row = pattern.data + (head * tokens + n) * tokens;
        double found = 0, places = 0;
        for (Index t = 0; t < n; ++t) {
          if (o.inputs[t] != o.inputs[n]) continue;
          found += static_cast<double>(row[t + 1]);
          ++places;
        }
        if (places == 0) continue;
        sum += found;
        even += places / static_cast<double>(n + 1);
        ++rows;
      }
      if (rows == 0) continue;
      r.add(layer, head, "score", sum / rows);
      r.add(layer, head, "by_chance", even / rows);
    }
  }
}

const RegisteredProbe previous("attn.previous", "[layer, head]", "attention to the token before",
                               read_previous,
                               {{.key = "score",
                                 .title = "Attention to the token before",
                                 .unit = "share",
                                 .meaning = "1: a previous-token head",
                                 .order = 30,
                                 .scale = Quantity::Scale::linear,
                                 .high = 1}});
const RegisteredProbe induction("attn.induction", "[layer, head]",
                                "attention to what followed the same token further up", read_induction,
                                {{.key = "score",
                                  .title = "Induction score",
                                  .unit = "share",
                                  .meaning = "1: an induction head",
                                  .order = 31,
                                  .scale = Quantity::Scale::linear,
                                  .high = 1},
                                 {.key = "by_chance",
                                  .title = "Induction score of even attention",
                                  .unit = "share",
                                  .detail = true,
                                  .scale = Quantity::Scale::linear,
                                  .high = 1}});

}  // namespace
}  // namespace ef
