#include "models/initialisation.h"

#include <cmath>

#include "models/registry.h"

namespace ef {
namespace {

// GPT-2 (Radford et al. 2019): N(0, 0.02), biases zero; what adds to the residual stream is smaller by
// sqrt(2 layers), so that the stream's variance does not grow with depth.
struct Gpt2 : Initialisation {
  double residual;
  Gpt2(const Builder&, const ModelConfig& config)
      : residual(0.02 / std::sqrt(2.0 * static_cast<double>(config.layers))) {}
  Init weight(Role role, Index) const override {
    return Init::normal(role == Role::attention_out || role == Role::feed_forward_out ? residual : 0.02);
  }
  Init bias(Role, Index) const override { return Init::zeros(); }
};

// As gpt2, but what adds to the residual stream adds nothing at first: the block starts as the identity
// (Zhang et al. 2019, Fixup, start the last layer of each residual branch so). At the first update these
// weights alone of all in a block have a gradient; the others follow with the second.
struct ZeroResidual : Gpt2 {
  using Gpt2::Gpt2;
  Init weight(Role role, Index fan_in) const override {
    return role == Role::attention_out || role == Role::feed_forward_out ? Init::zeros()
                                                                         : Gpt2::weight(role, fan_in);
  }
};

// fairseq v0.12.2, transformer_lm. Xavier's uniform bound is sqrt(6 / (fan_in + fan_out)); q, k and v are
// drawn with a gain of 1 / sqrt 2, as if they were one matrix. Their biases and the feed-forward layers keep
// PyTorch's default U(+-1 / sqrt(fan_in)). Row 1 of the token table is the padding token and starts as zeros;
// that of an output matrix of its own does not.
struct Fairseq : Initialisation {
  Fairseq(const Builder&, const ModelConfig&) {}
  Init weight(Role role, Index fan_in) const override {
    const auto n = static_cast<double>(fan_in);
    const double xavier = std::sqrt(6 / (2 * n));  // attention matrices are square, or start as if they were
    switch (role) {
      case Role::tokens:
        return {Init::Law::normal, 1 / std::sqrt(n), 1};
      case Role::unembed:
      case Role::positions:
        return Init::normal(1 / std::sqrt(n));
      case Role::attention_in:
        return Init::uniform(xavier / std::sqrt(2.0));
      case Role::attention_out:
        return Init::uniform(xavier);
      case Role::feed_forward_in:
      case Role::feed_forward_out:
        return Init::uniform(1 / std::sqrt(n));
    }
    return Init::zeros();
  }
  Init bias(Role role, Index fan_in) const override {
    return role == Role::attention_out ? Init::zeros()
                                       : Init::uniform(1 / std::sqrt(static_cast<double>(fan_in)));
  }
};

const Registered<Initialisation, Gpt2> gpt2("gpt2",
                                            "N(0, 0.02), smaller where it adds to the residual stream");
const Registered<Initialisation, ZeroResidual> zero_residual(
    "zero-residual", "as gpt2, 0 where it adds to the residual stream: a block starts as the identity");
const Registered<Initialisation, Fairseq> fairseq("fairseq",
                                                  "as fairseq's transformer_lm: Xavier and 1/sqrt(fan-in)");

}  // namespace
}  // namespace ef
