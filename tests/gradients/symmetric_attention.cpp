// Attention whose queries are its keys: its query-key matrix W_Q W_K^T is symmetric, all its eigenvalues are
// real.
#include "models/transformer.h"

namespace ef {
namespace {

struct SymmetricAttention : Attention {
  Linear key, value, out;
  const FusedOps& ops;  // those of a textbook, with --plain
  Index heads;
  double scale;
  Point see_logits, see_pattern;  // what probes read

  SymmetricAttention(const Builder& b, const ModelConfig& c)
      : key(b / "k", c.channels, c.channels, Role::attention_in, c),
        value(b / "v", c.channels, c.channels, Role::attention_in, c),
        out(b / "out", c.channels, c.channels, Role::attention_out, c),
        ops(ops_of(c)),
        heads(c.heads),
        scale(1 / std::sqrt(static_cast<double>(c.channels / c.heads))),
        see_logits(b / "logits"),
        see_pattern(b / "pattern") {}

  Tensor forward(const Tensor& x) const override {
    const Tensor k = key.forward(x);
    const Shape shape{x.shape[0], heads, x.shape[1], x.shape[1]};
    const AttentionSeen seen{see_logits.place(shape), see_pattern.place(shape)};
    return out.forward(ops.attention(k, k, value.forward(x), heads, scale, seen));
  }

  std::vector<QKProduct> qk() const override { return qk_products(key, key, heads, scale); }
};

const Registered<Attention, SymmetricAttention> symmetric("symmetric", "queries are keys: real eigenvalues");

}  // namespace
}  // namespace ef
