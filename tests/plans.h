// What tests of plans and of sweeps share.
#pragma once
#include <nlohmann/json.hpp>

namespace ef {

using json = nlohmann::ordered_json;

// A plan that is right; tests change it.
inline json right_plan() {
  return json::parse(R"({
    "name": "small", "about": "A test.", "options": "--preset gpt2 --layers 1 --probe attn.entropy",
    "updates": 40, "seeds": [3, 1], "baseline": "plain",
    "arms": {"plain": "", "rms": "--norm rms"},
    "measures": ["valid.loss", "attn.entropy.normalised"],
    "claims": {"norm": {"says": "RMS norm is better.", "source": "ours"}},
    "predictions": [{"claim": "norm", "says": "Its loss is lower.", "measure": "valid.loss", "arm": "rms",
                     "direction": "lower"}]
  })");
}

}  // namespace ef
