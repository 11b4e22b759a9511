// Sandwich norm (Ding et al. 2021, CogView): each part reads a normalised copy of the stream, as in pre-norm,
// and what it gives is normalised, too, before it is added: x + N'(part(N(x))). So no part can add more than
// the gain of its second norm allows.
#include "models/transformer.h"

namespace ef {
namespace {

struct SandwichNormBlock : TwoNormBlock {
  std::unique_ptr<Norm> attention_out_norm, feed_forward_out_norm;

  SandwichNormBlock(const Builder& b, const ModelConfig& c)
      : TwoNormBlock(b, c),
        attention_out_norm(Registry<Norm>::make(c.norm, b / "attn_out_norm", c)),
        feed_forward_out_norm(Registry<Norm>::make(c.norm, b / "mlp_out_norm", c)) {}

  Tensor forward(const Tensor& resid_pre) const override {
    const Tensor attended = attention_out_norm->forward(attend(attention_norm->forward(resid_pre)));
    const Tensor resid_mid = see_mid(add(resid_pre, dropout(attended, p)));
    const Tensor thought = feed_forward_out_norm->forward(think(feed_forward_norm->forward(resid_mid)));
    return see_post(add(resid_mid, dropout(thought, p)));
  }
};

const Registered<Block, SandwichNormBlock> sandwich_norm(
    "sandwich-norm", "normalises what each part reads and what it gives (CogView)");

}  // namespace
}  // namespace ef
