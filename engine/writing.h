// Ops for a model that writes: they have no backward. Error if the tape is recording.
#pragma once
#include "engine/tensor.h"

namespace ef {

// ops/attention.cpp
// causal_attention() of the last token alone, which sees all of them: q [1, 1, C], k, v [1, T, C] -> [1, 1,
// C].
Tensor attention_of_last(const Tensor& q, const Tensor& k, const Tensor& v, Index heads, double scale);

}  // namespace ef
