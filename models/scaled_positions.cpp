// Learned positions, times a constant: h_t = e_t + s P_t. Adam moves P as fast as before, and so s P s times as fast.
#include "models/layers.h"

namespace ef {
namespace {

const Option<double> option("position-scale", 1, any_number(), "learned positions are multiplied by it");

struct ScaledPositions : Positions {
  Tensor table;  // [context, C]
  double factor;

  ScaledPositions(const Builder& b, const ModelConfig& c) : factor(option(c.options)) {
    const auto init = Registry<Initialisation>::make(c.initialisation, b, c);
    table = b.parameter_of(Parameter::Kind::embedding, "weight", {c.context, c.channels},
                           init->weight(Role::positions, c.channels));
  }
  Tensor forward(const Tensor& tokens) const override {
    return add(tokens, scale(slice(table, 0, 0, tokens.shape[1]), factor));
  }
};

const Registered<Positions, ScaledPositions> scaled("scaled-learned", "learned, times --position-scale", {option});

}  // namespace
}  // namespace ef
