// A gated feed-forward part (Shazeer 2020, "GLU variants improve transformer"): down(silu(gate(x)) * up(x)),
// where the product is taken place by place. It has three matrices of --ffn rows or columns where the mlp has
// two: with 2/3 of the mlp's --ffn it has as many weights.
#include "models/transformer.h"

namespace ef {
namespace {

struct SwiGLU : FeedForward {
  Linear gate, up, down;

  SwiGLU(const Builder& b, const ModelConfig& c)
      : gate(b / "gate", c.channels, c.ffn, Role::feed_forward_in, c),
        up(b / "up", c.channels, c.ffn, Role::feed_forward_in, c),
        down(b / "down", c.ffn, c.channels, Role::feed_forward_out, c) {}

  Tensor forward(const Tensor& x) const override {
    return down.forward(mul(silu(gate.forward(x)), up.forward(x)));
  }
};

const Registered<FeedForward, SwiGLU> swiglu("swiglu", "gated by silu, three matrices", {}, nullptr,
                                             {"activation"});

}  // namespace
}  // namespace ef
