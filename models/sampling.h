// Writing text: one token after the other, each drawn from the model's guess about it.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/tape.h"
#include "models/transformer.h"

namespace ef {

struct Sampling {
  double temperature = 1;  // logits are divided by it; 0: always the likeliest token
  Index top_k = 0;         // only the k likeliest tokens; 0: all
  double top_p = 1;  // only the likeliest tokens that together have this probability (Holtzman et al. 2020)
};

// Error if temperature < 0, top_k < 0 or top_p outside (0, 1].
void check(const Sampling& sampling);

// The token that these V logits and a number u, uniform in [0, 1), give. Ties go to the smaller id.
std::int32_t sample_token(std::span<const Real> logits, const Sampling& sampling, double u);

// How many tokens were computed by what: once each, or with all of their window anew.
struct Generated {
  Index remembered = 0, anew = 0;
  std::string why_anew = "";  // where a model could not remember, or did so wrongly: why
};

// Continues `ids` (at least one) by `count` tokens, and calls each(token) for every one of them; if that
// returns false it ends there. The model sees the last `context` tokens at most. Where `boundary` >= 0, a
// token that separates independent documents, a full window is shortened to begin at the first boundary in
// it, as windows do in training; where there is none, to its later half. So a window is computed as a whole
// when it moves, and each token once until it is full again (models/memory.h). The logits of token 1, 2, 4,
// 8, ... of a window are compared with those of a full forward: a layer that remembers wrongly is not
// believed, and all is computed anew from there. Draws from (seed, Purpose::sample).
Generated generate(const Transformer& model, Tape& tape, std::vector<std::int32_t>& ids, Index count,
                   const Sampling& sampling, std::uint64_t seed, std::int32_t boundary,
                   const std::function<bool(std::int32_t)>& each);

}  // namespace ef
