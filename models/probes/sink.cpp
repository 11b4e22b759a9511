// Attention that goes nowhere in particular: to the first token (Xiao et al. 2024), or, where rows need not
// sum to one, to nothing.
#include "models/probes/probes.h"

namespace ef {
namespace {

// Means over the rows that see more than one token.
void read(const TextObservation& o, Reading& r) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor pattern = o.at(layer, "attn.pattern");  // [H, T, T]
    const Index tokens = pattern.shape.last();
    if (!pattern || tokens < 2) continue;
    for (Index head = 0; head < o.heads(); ++head) {
      double first = 0, all = 0;
      for (Index n = 1; n < tokens; ++n) {
        const Real* row = pattern.data + (head * tokens + n) * tokens;
        first += row[0];
        for (Index t = 0; t <= n; ++t) all += row[t];
      }
      r.add(layer, head, "first", first / static_cast<double>(tokens - 1));
      r.add(layer, head, "mass", all / static_cast<double>(tokens - 1));
    }
  }
}

const RegisteredProbe sink("attn.sink", "[layer, head]", "attention to the first token, and to all", read,
                           {{.key = "first",
                             .title = "Attention to the first token",
                             .unit = "share",
                             .meaning = "1: all rows look at the first token only",
                             .live = "sink"},
                            {.key = "mass",
                             .title = "Sum of a row of attention",
                             .meaning = "1 for a softmax, less where a head may look at nothing"}});

}  // namespace
}  // namespace ef
