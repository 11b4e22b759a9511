// RMS norm without a gain: the mean square over channels is 1, and nothing is trained.
#include "models/layers.h"

namespace ef {
namespace {

struct BareRMSNorm : Norm {
  BareRMSNorm(const Builder&, const ModelConfig&) {}
  Tensor forward(const Tensor& x) const override {
    const int channels = x.shape.rank - 1;
    return divide(x, insert_axis(sqrt(add(mean(mul(x, x), channels), 1e-5)), channels));
  }
};

const Registered<Norm, BareRMSNorm> bare("rms-bare", "mean square 1, no gain");

}  // namespace
}  // namespace ef
