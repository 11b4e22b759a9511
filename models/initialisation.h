// How the weights of a transformer start.
#pragma once
#include <string>

#include "engine/parameters.h"
#include "models/config.h"
#include "models/registry.h"

namespace ef {

// What a parameter does, as far as its start depends on it.
enum class Role {
  tokens,
  unembed,
  positions,
  attention_in,
  attention_out,
  feed_forward_in,
  feed_forward_out
};

// The start of a weight and of its bias. fan_in: the length of a row of the weight.
struct Initialisation {
  virtual ~Initialisation() = default;
  static constexpr const char* kind = "initialisation";
  using Factory = ModelFactory<Initialisation>;
  virtual Init weight(Role role, Index fan_in) const = 0;
  virtual Init bias(Role role, Index fan_in) const = 0;
};

}  // namespace ef
