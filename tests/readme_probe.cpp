// A probe of one's own: the mean norm of a token in the residual stream, after each block.
#include <cmath>

#include "models/probes/probes.h"

namespace ef {
namespace {

void read(const TextObservation& o, Reading& r) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor x = o.at(layer, "resid_post");  // [T, C]: one window of text
    const Index tokens = x.shape.rows(), channels = x.shape.last();
    double total = 0;
    for (Index t = 0; t < tokens; ++t) {
      double square = 0;
      for (Index c = 0; c < channels; ++c) square += std::pow(x.data[t * channels + c], 2);
      total += std::sqrt(square);
    }
    r.add(layer, -1, "norm", total / static_cast<double>(tokens));
  }
}

const RegisteredProbe norm("resid.norm", "[layer]", "mean norm of a token in the residual stream", read,
                           {{.key = "norm", .title = "Norm of a token", .live = "norm"}});

}  // namespace
}  // namespace ef
