#include "models/layers.h"

#include <cmath>

#include "engine/error.h"
#include "models/registry.h"

namespace ef {

Linear::Linear(const Builder& b, Index in, Index out, Role role, const ModelConfig& config) {
  const auto init = Registry<Initialisation>::make(config.initialisation, b, config);
  weight = b.parameter("weight", {out, in}, init->weight(role, in));
  if (config.bias) bias = b.parameter("bias", {out}, init->bias(role, in));
}

std::vector<QKProduct> qk_products(const Linear& query, const Linear& key, Index heads, double logit_scale) {
  const Index width = query.weight.shape[1], rank = query.weight.shape[0] / heads;
  const Index sharing = query.weight.shape[0] / key.weight.shape[0];
  const auto rows = [&](Tensor weight, Index head) {
    const Index offset = head * rank * width;
    weight.shape = {rank, width};
    if (weight.data) weight.data += offset;
    if (weight.grad) weight.grad = weight.grad + offset;
    return weight;
  };
  std::vector<QKProduct> products;
  for (Index head = 0; head < heads; ++head) {
    QKProduct product;
    product.head = head;
    product.query = rows(query.weight, head);
    product.key = rows(key.weight, head / sharing);
    product.logit_scale = logit_scale;
    product.left_out = query.bias ? "biases, and the norm's gain before" : "the norm's gain before";
    products.push_back(product);
  }
  return products;
}

namespace {

struct LayerNorm : Norm {
  Tensor gain, bias;
  LayerNorm(const Builder& b, const ModelConfig& config) {
    gain = b.parameter("weight", {config.channels}, Init::ones());
    if (config.bias) bias = b.parameter("bias", {config.channels}, Init::zeros());
  }
  Tensor forward(const Tensor& x) const override { return layer_norm(x, gain, bias, 1e-5); }
};
const Registered<Norm, LayerNorm> layer_norm_sibling("layer", "mean 0, variance 1, then gain and bias");

struct RMSNorm : Norm {
  Tensor gain;
  RMSNorm(const Builder& b, const ModelConfig& config)
      : gain(b.parameter("weight", {config.channels}, Init::ones())) {}
  Tensor forward(const Tensor& x) const override { return rms_norm(x, gain, 1e-5); }
};
const Registered<Norm, RMSNorm> rms_norm_sibling("rms", "mean square 1, then gain");

struct NoNorm : Norm {
  NoNorm(const Builder&, const ModelConfig&) {}
  Tensor forward(const Tensor& x) const override { return x; }
};
const Registered<Norm, NoNorm> no_norm_sibling("none", "the input itself");

// Rows [first, first + count) of a table, of the same memory: a part of a weight, and of its gradient.
Tensor rows_of(Tensor table, Index first, Index count) {
  const Index before = first * table.shape[1];
  table.shape[0] = count;
  table.data += before;
  if (Real* gradient = table.grad) table.grad = Gradient(gradient + before);
  return table;
}

// h_t = e_t + P_t, P learned (GPT-2).
struct LearnedPositions : Positions {
  Tensor table;  // [context, C]
  LearnedPositions(const Builder& b, const ModelConfig& config) {
    const auto init = Registry<Initialisation>::make(config.initialisation, b, config);
    table = b.parameter_of(Parameter::Kind::embedding, "weight", {config.context, config.channels},
                           init->weight(Role::positions, config.channels));
  }
  Tensor forward(const Tensor& tokens, Index first) const override {
    return add(tokens, rows_of(table, first, tokens.shape[1]));
  }
};
const Registered<Positions, LearnedPositions> learned("learned", "a trained vector a position (GPT-2)");

// h_t = sqrt(C) e_t + P_t, P fixed (Vaswani et al. 2017, in fairseq's layout): row p is sin(p w_i) for the
// first half of the channels and cos(p w_i) for the second, w_i = 10000^(-i / (C/2 - 1)). Token t has row t +
// 2, as fairseq counts positions from the padding index 1. The factor sqrt(C) brings token vectors of
// variance 1/C up to the size of the sines.
struct SinusoidalPositions : Positions {
  std::vector<Real> table;
  Index channels, context;
  SinusoidalPositions(const Builder&, const ModelConfig& config)
      : table(static_cast<std::size_t>(config.context * config.channels)),
        channels(config.channels),
        context(config.context) {
    const Index half = channels / 2;  // an odd last channel stays zero
    const double step = std::log(10000.0) / static_cast<double>(half > 1 ? half - 1 : 1);
    for (Index t = 0; t < context; ++t) {
      for (Index i = 0; i < half; ++i) {
        const double angle = static_cast<double>(t + 2) * std::exp(-step * static_cast<double>(i));
        table[t * channels + i] = Real(std::sin(angle));
        table[t * channels + half + i] = Real(std::cos(angle));
      }
    }
  }
  Tensor forward(const Tensor& tokens, Index first) const override {
    const Tensor all{{context, channels}, const_cast<Real*>(table.data()), nullptr, "sinusoids"};
    return add(scale(tokens, std::sqrt(Real(channels))), rows_of(all, first, tokens.shape[1]));
  }
};
const Registered<Positions, SinusoidalPositions> sinusoidal("sinusoidal",
                                                            "fixed sines and cosines (fairseq)");

// For attentions that know of places themselves, as rotary ones do.
struct NoPositions : Positions {
  NoPositions(const Builder&, const ModelConfig&) {}
  Tensor forward(const Tensor& tokens, Index) const override { return tokens; }
};
const Registered<Positions, NoPositions> no_positions("none", "the tokens alone");

}  // namespace

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (const Activation& a : activations()) names.push_back(a.name);
  return names;
}

const Activation& activation(const std::string& name) {
  for (const Activation& a : activations()) {
    if (a.name == name) return a;
  }
  fail("no activation called " + name, "", "", suggestion(name, activation_names()));
}

}  // namespace ef
