// strength sum over heads of (tr W^2 - c)^2: tr W^2 is held near --trace-square.
#include "models/regulariser.h"

namespace ef {
namespace {

const Option<double> strength("strength", 0, at_least(0), "of (tr W^2 - c)^2");
const Option<double> target("trace-square", 64, any_number(), "c, near which tr W^2 is held");

struct HoldTraceSquare : OverHeads {
  double full, c;

  HoldTraceSquare(const Builder&, const ModelConfig& config)
      : OverHeads(config), full(strength(config.options)), c(target(config.options)) {}

  Tensor loss(const Transformer& model, Index done) const override {
    Tensor total;
    for (const QKProduct& p : chosen(model)) {
      const Tensor off = power(add(product_trace_square(p.query, p.key), -c), 2);
      total = total ? add(total, off) : off;
    }
    return total ? scale(total, full * growth(done)) : total;
  }
};

std::string idle(const OptionValues& values) { return strength(values) == 0 ? "strength is 0" : ""; }

const Registered<Regulariser, HoldTraceSquare> hold("trace-square", "holds tr W^2 near --trace-square",
                                                    OverHeads::options({strength, target}), idle);

}  // namespace
}  // namespace ef
