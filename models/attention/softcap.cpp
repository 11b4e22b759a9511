// Attention with a soft cap: logits s become c tanh(s / c). They stay within +- c, and keep their order
// (Gemma 2, Gemma Team 2024, with c = 50 in attention).
#include "models/attention/composed.h"

namespace ef {
namespace {

const Option<double> cap_option("softcap", 30, above(0), "logits stay within +- softcap");

struct SoftcapAttention : ComposedAttention {
  double cap;

  SoftcapAttention(const Builder& b, const ModelConfig& c)
      : ComposedAttention(b, c), cap(cap_option(c.options)) {}
  Tensor logits_of(const Tensor& products) const override { return soft_cap(products, cap); }
  std::string not_in_w() const override { return "the soft cap"; }
};

const Registered<Attention, SoftcapAttention> softcap("softcap", "logits stay within +- --softcap, by tanh",
                                                      {cap_option});

}  // namespace
}  // namespace ef
