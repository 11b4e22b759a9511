// Attention whose four linear layers have weights of a given spectral norm (largest singular value):
//
//   W^ = (gamma / sigma(W)) W,   sigma(W) = u^T W v.
//
// sigma-reparam (Zhai et al. 2023): gamma is trained, one number a layer, 1 at the start. So the norm moves
// slowly, and with it the bound on the logits that keeps entropy from collapsing.
// spectral-norm (Miyato et al. 2018): gamma stays 1.
//
// u and v are the leading singular vectors as power iteration knows them: state that goes one step before
// each update, as W moves little in between. In the gradient they are constants, which is exact where they
// are exact: d sigma / dW = u v^T. (Zhai et al. treat all linear layers of a model so; here it is those of
// the attention.)
#include "models/transformer.h"

namespace ef {
namespace {

// How gamma is declared: Builder::parameter, trained, or Builder::state, frozen.
using Declare = Tensor (Builder::*)(const std::string&, const Shape&, const Init&) const;

struct SpectralLinear {
  Linear raw;
  Tensor gamma;  // [1]
  Tensor u, v;   // [out], [in]: unit vectors once start() has been called

  SpectralLinear(const Builder& b, Role role, const ModelConfig& c, Declare declare)
      : raw(b, c.channels, c.channels, role, c),
        gamma((b.*declare)("gamma", {1}, Init::ones())),
        u(direction(b, "u", c.channels)),
        v(direction(b, "v", c.channels)) {}

  Tensor forward(const Tensor& x) const {
    const Tensor sigma = spectral_norm(raw.weight, u.data, v.data);
    return linear(x, scale_by_ratio(raw.weight, gamma, sigma), raw.bias);
  }

  // Error where all weights are zero: no factor gives them another norm.
  void check_norm() const {
    for (Index i = 0; i < raw.weight.size(); ++i)
      if (raw.weight.data[i] != 0) return;
    fail(std::string("spectral norm of ") + raw.weight.name + " at its start", "0", "above 0",
         "weights are divided by it: start with another --init");
  }

  void iterate(int steps) {
    power_iteration(raw.weight.data, raw.weight.shape[0], raw.weight.shape[1], u.data, v.data, steps);
  }

  // gamma / sigma, outside of any tape; 1 while there are no values yet.
  double factor() const {
    if (!raw.weight) return 1;
    const Index in = raw.weight.shape[1];
    double sigma = 0;
    for (Index i = 0; i < raw.weight.size(); ++i) {
      sigma += static_cast<double>(u.data[i / in] * raw.weight.data[i]) * static_cast<double>(v.data[i % in]);
    }
    return static_cast<double>(gamma.data[0]) / sigma;
  }

 private:
  // A vector of random direction and of length 1, nearly.
  static Tensor direction(const Builder& b, const char* name, Index n) {
    return b.state(name, {n}, Init::normal(1 / std::sqrt(static_cast<double>(n))));
  }
};

struct SpectralAttention : Attention {
  SpectralLinear query, key, value, out;
  const FusedOps& ops;
  Index heads;
  double scale;
  Point see_q, see_k, see_v, see_logits, see_pattern, see_z;

  SpectralAttention(const Builder& b, const ModelConfig& c, Declare declare)
      : query(b / "q", Role::attention_in, c, declare),
        key(b / "k", Role::attention_in, c, declare),
        value(b / "v", Role::attention_in, c, declare),
        out(b / "out", Role::attention_out, c, declare),
        ops(ops_of(c)),
        heads(c.heads),
        scale(1 / std::sqrt(static_cast<double>(c.channels / c.heads))),
        see_q(b / "q"),
        see_k(b / "k"),
        see_v(b / "v"),
        see_logits(b / "logits"),
        see_pattern(b / "pattern"),
        see_z(b / "z") {}

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Shape shape{x.shape[0], heads, x.shape[1], x.shape[1]};
    const AttentionSeen seen{see_logits.place(shape), see_pattern.place(shape)};
    return out.forward(see_z(ops.attention(q, k, v, heads, scale, seen)));
  }

  Tensor forward_after(const Tensor& x, Past& past) const override {
    const Tensor q = query.forward(x);
    past.add(key.forward(x), value.forward(x));
    return out.forward(q.shape[1] < past.tokens()
                           ? attention_of_last(q, past.keys(), past.values(), heads, scale)
                           : ops.attention(q, past.keys(), past.values(), heads, scale, {}));
  }
  bool remembers() const override { return true; }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = qk_products(query.raw, key.raw, heads, scale);
    for (QKProduct& product : products) product.factor = query.factor() * key.factor();
    return products;
  }

  // From random directions to singular vectors. The gap between the largest singular values of a random
  // matrix is small, so that a few steps would leave sigma some percent short.
  void start(const Random&) override {
    for (const SpectralLinear* layer : {&query, &key, &value, &out}) layer->check_norm();
    iterate(100);
  }
  void prepare() override { iterate(1); }

 private:
  void iterate(int steps) {
    for (SpectralLinear* layer : {&query, &key, &value, &out}) layer->iterate(steps);
  }
};

struct SigmaReparam : SpectralAttention {
  SigmaReparam(const Builder& b, const ModelConfig& c) : SpectralAttention(b, c, &Builder::parameter) {}
};
const Registered<Attention, SigmaReparam> sigma_reparam("sigma-reparam",
                                                        "weights scaled to a trained spectral norm");

struct SpectralNorm : SpectralAttention {
  SpectralNorm(const Builder& b, const ModelConfig& c) : SpectralAttention(b, c, &Builder::state) {}
};
const Registered<Attention, SpectralNorm> spectral_norm_sibling("spectral-norm",
                                                                "weights scaled to spectral norm 1");

}  // namespace
}  // namespace ef
