// A sibling of attention that is unlike the others: it forms no logits and has no query-key product. Token i
// reads the mean of the values of the tokens t <= i. It stands among the tests so that those over all
// registered attentions hold for any correct sibling, and not only for a softmax of <q, k>.
#include "engine/tape.h"
#include "models/transformer.h"

namespace ef {
namespace {

struct MeanAttention : Attention {
  Linear value, out;
  Point see_logits, see_pattern;

  MeanAttention(const Builder& b, const ModelConfig& c)
      : value(b / "v", c.channels, c.channels, Role::attention_in, c),
        out(b / "out", c.channels, c.channels, Role::attention_out, c),
        see_logits(b / "logits"),
        see_pattern(b / "pattern") {}

  Tensor forward(const Tensor& x) const override {
    see_logits.none("a mean needs none");
    const Index batch = x.shape[0], tokens = x.shape[1];
    Tensor pattern = Tape::current().output("mean_attention", {batch, 1, tokens, tokens}, {});
    for (Index row = 0; row < batch * tokens; ++row) {
      const Index n = row % tokens + 1;
      std::fill_n(pattern.data + row * tokens, n, Real(1.0 / static_cast<double>(n)));
      std::fill(pattern.data + row * tokens + n, pattern.data + (row + 1) * tokens, Real(0));
    }
    return out.forward(merge_heads(matmul(see_pattern(pattern), split_heads(value.forward(x), 1))));
  }

  std::vector<QKProduct> qk() const override { return {}; }
};

const Registered<Attention, MeanAttention> mean_attention("mean", "the mean of all values before");

}  // namespace
}  // namespace ef
