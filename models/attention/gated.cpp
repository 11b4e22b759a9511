// Gated attention (Qiu et al. 2025): what the heads mix is multiplied, place by place, with a gate of the
// token that reads, before the last layer: out(z * sigmoid(x W_g)). So a head may keep silent without an
// attention sink. Each channel of each head has a gate of its own. Weights near 0 give gates near 1/2.
#include "models/transformer.h"

namespace ef {
namespace {

struct GatedAttention : SoftmaxAttention {
  Linear gate;
  Point see_gate;  // [B, T, C], within 0 and 1

  GatedAttention(const Builder& b, const ModelConfig& c)
      : SoftmaxAttention(b, c),
        gate(b / "gate", c.channels, c.channels, Role::attention_in, c),
        see_gate(b / "gate") {}

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(queries(x, 0)), k = see_k(keys(x, 0)), v = see_v(value.forward(x));
    return out.forward(gated(see_z(mix(q, k, v)), x));
  }
  Tensor forward_after(const Tensor& x, Past& past) const override {
    const Tensor q = queries(x, past.tokens());
    past.add(keys(x, past.tokens()), value.forward(x));
    return out.forward(gated(mix(q, past.keys(), past.values()), x));
  }

 private:
  Tensor gated(const Tensor& z, const Tensor& x) const { return mul(z, see_gate(sigmoid(gate.forward(x)))); }
};

const Registered<Attention, GatedAttention> gated("gated", "a sigmoid gate on what the heads give");

}  // namespace
}  // namespace ef
