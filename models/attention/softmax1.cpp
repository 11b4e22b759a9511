// Attention with a sink (Miller 2023, "Attention is off by one"): softmax1_t(s) = e^{s_t} / (1 + sum_j
// e^{s_j}). A token may look at nothing: its row sums to sigmoid(log sum_j e^{s_j}), which is less than one.
#include "models/attention/composed.h"

namespace ef {
namespace {

struct Softmax1Attention : ComposedAttention {
  using ComposedAttention::ComposedAttention;
  Tensor pattern_of(const Tensor& logits) const override {
    const Tensor causal = where(causal_mask(logits.shape[3], logits.shape[2]), logits, unseen);
    const Tensor looks = sigmoid(insert_axis(log_sum_exp(causal, 3), 3));  // [B, H, T, 1]
    return mul(softmax(causal), looks);
  }
};

const Registered<Attention, Softmax1Attention> softmax1("softmax1",
                                                        "with a sink: a row may sum to less than one");

}  // namespace
}  // namespace ef
