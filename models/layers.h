// The parts that a transformer is made of: linear layers, norms, positions, activations.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "engine/ops.h"
#include "engine/parameters.h"
#include "models/config.h"
#include "models/initialisation.h"
#include "models/qk.h"
#include "models/registry.h"

namespace ef {

// y = x W^T + b.  [..., in] -> [..., out].  Parameters: weight [out, in], bias [out].
struct Linear {
  Tensor weight, bias;
  Linear(const Builder& b, Index in, Index out, Role role, const ModelConfig& config);
  Tensor forward(const Tensor& x) const { return linear(x, weight, bias); }
};

// Head h of a projection is rows [h D, (h + 1) D) of its weight. A key of fewer rows has fewer heads, each
// shared by as many neighbouring query heads: one product for each query head all the same. logit_scale as in
// QKProduct; what is left out is told from what the layers have.
std::vector<QKProduct> qk_products(const Linear& query, const Linear& key, Index heads, double logit_scale);

// Normalises the last axis.  [..., C] -> [..., C].  Siblings: layer, rms, none.
struct Norm {
  virtual ~Norm() = default;
  static constexpr const char* kind = "norm";
  using Factory = ModelFactory<Norm>;
  virtual Tensor forward(const Tensor& x) const = 0;
};

// Tells tokens where they stand: at place `first` and after.  [B, T, C] -> [B, T, C].  Siblings: learned,
// sinusoidal, none.
struct Positions {
  virtual ~Positions() = default;
  static constexpr const char* kind = "positions";
  using Factory = ModelFactory<Positions>;
  virtual Tensor forward(const Tensor& tokens, Index first) const = 0;
};

// The fused ops, or their textbook twins.
inline const FusedOps& ops_of(const ModelConfig& config) { return config.plain ? plain_ops() : fused_ops(); }

// One of activations() by name. Error with the nearest name.
const Activation& activation(const std::string& name);
std::vector<std::string> activation_names();

}  // namespace ef
