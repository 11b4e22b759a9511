// Attention whose entropy is rewarded, as a guard against its collapse (which Zhai et al. 2023 describe; the
// reward itself is that of Pereyra et al. 2017 for outputs). Each layer adds to the loss
//   -strength * mean over sequences, heads and rows of the row's entropy in nats.
// The first row, which sees one token only, counts with its entropy of 0.
#include "models/attention/composed.h"

namespace ef {
namespace {

const Option<double> reward_option("entropy-reward", 0.01, any_number(), "strength of the reward");

struct EntropyAttention : ComposedAttention {
  double strength;

  EntropyAttention(const Builder& b, const ModelConfig& c)
      : ComposedAttention(b, c), strength(reward_option(c.options)) {}
  Tensor pattern_of(const Tensor& logits) const override {
    const Tensor pattern = causal_softmax(logits);
    Tape::current().add_penalty(ef::scale(mean_entropy(pattern), -strength));
    return pattern;
  }
};

const Registered<Attention, EntropyAttention> entropy("entropy", "the loss rewards the pattern's entropy",
                                                      {reward_option});

}  // namespace
}  // namespace ef
