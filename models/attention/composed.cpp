// Attentions that work on the logits or on the pattern, and so need them as tensors. They are composed op by
// op, where SoftmaxAttention is fused: the same numbers up to rounding, with memory that grows with T^2.
#include "models/transformer.h"

namespace ef {
namespace {

// logits_of says what enters the softmax, from <query_i, key_t> / sqrt(D); pattern_of what leaves it. All of
// them are [B, H, T, T].
struct ComposedAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;
  virtual Tensor logits_of(const Tensor& products) const { return products; }
  virtual Tensor pattern_of(const Tensor& logits) const { return causal_softmax(logits); }

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor logits = see_logits(logits_of(ef::scale(products, Real(scale))));
    const Tensor pattern = see_pattern(pattern_of(logits));
    return out.forward(see_z(merge_heads(matmul(pattern, split_heads(v, heads)))));
  }
};

const Option<double> cap_option("softcap", 30, above(0), "logits stay within +- softcap");
const Option<double> reward_option("entropy-reward", 0.01, any_number(), "strength of the reward");

// Logits s become c tanh(s / c): they stay within +- c, and keep their order (Gemma 2, Gemma Team 2024, with
// c = 50 in attention).
struct SoftcapAttention : ComposedAttention {
  double cap;

  SoftcapAttention(const Builder& b, const ModelConfig& c)
      : ComposedAttention(b, c), cap(cap_option(c.options)) {}
  Tensor logits_of(const Tensor& products) const override { return soft_cap(products, cap); }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = SoftmaxAttention::qk();
    for (QKProduct& product : products) {
      product.left_out = "the soft cap, " + product.left_out;
    }
    return products;
  }
};

// Rewards entropy, as a guard against its collapse (which Zhai et al. 2023 describe; the reward itself is
// that of Pereyra et al. 2017 for outputs). Each layer adds to the loss
//   -strength * mean over sequences, heads and rows of the row's entropy in nats.
// The first row, which sees one token only, counts with its entropy of 0.
struct EntropyAttention : ComposedAttention {
  double strength;

  EntropyAttention(const Builder& b, const ModelConfig& c)
      : ComposedAttention(b, c), strength(reward_option(c.options)) {}
  Tensor pattern_of(const Tensor& logits) const override {
    const Tensor pattern = causal_softmax(logits);
    Tape::current().add_penalty(ef::scale(mean_entropy(pattern), Real(-strength)));
    return pattern;
  }
};

const Registered<Attention, SoftcapAttention> softcap("softcap", "logits stay within +- --softcap, by tanh",
                                                      {cap_option});
const Registered<Attention, EntropyAttention> entropy("entropy", "the loss rewards the pattern's entropy",
                                                      {reward_option});

}  // namespace
}  // namespace ef
