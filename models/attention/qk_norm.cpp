// Attention whose queries and keys are normalised in each head, over its D channels, before their product:
//
//   logits = <N(q_i), N(k_t)> / sqrt(D),   N the norm of one head's vector, with a gain (and a bias) of its
//                                          own for queries and for keys, shared by the heads.
//
// Before the gain the length of N(q) is sqrt(D), whatever W_Q is, so logits cannot grow with the weights.
// Query-key normalisation by Henry, Dachapally, Pawar and Chen 2020 (to length 1, with a learned scale); with
// LayerNorm by Dehghani et al. 2023; with RMSNorm it is common in models since.
#include "models/transformer.h"

namespace ef {
namespace {

constexpr double epsilon = 1e-6;  // as Dehghani et al.; q of small weights is not lost in it

struct HeadLayerNorm {
  static constexpr const char* what = "the LayerNorm of q and k";
  Tensor gain, bias;
  HeadLayerNorm(const Builder& b, Index dim, const ModelConfig& c)
      : gain(b.parameter("weight", {dim}, Init::ones())) {
    if (c.bias) bias = b.parameter("bias", {dim}, Init::zeros());
  }
  Tensor forward(const Tensor& x) const { return layer_norm(x, gain, bias, epsilon); }
};

struct HeadRMSNorm {
  static constexpr const char* what = "the RMSNorm of q and k";
  Tensor gain;
  HeadRMSNorm(const Builder& b, Index dim, const ModelConfig&)
      : gain(b.parameter("weight", {dim}, Init::ones())) {}
  Tensor forward(const Tensor& x) const { return rms_norm(x, gain, epsilon); }
};

// HeadNorm: [..., D] -> [..., D]. What is shown as q and k is what enters the product.
template <class HeadNorm>
struct QKNormAttention : SoftmaxAttention {
  HeadNorm query_norm, key_norm;

  QKNormAttention(const Builder& b, const ModelConfig& c)
      : SoftmaxAttention(b, c),
        query_norm(b / "q_norm", c.channels / c.heads, c),
        key_norm(b / "k_norm", c.channels / c.heads, c) {}

  Tensor queries(const Tensor& x, Index) const override { return by_head(query_norm, query.forward(x)); }
  Tensor keys(const Tensor& x, Index) const override { return by_head(key_norm, key.forward(x)); }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = SoftmaxAttention::qk();
    for (QKProduct& product : products) {
      product.normalised = true;
      product.left_out = HeadNorm::what + (", " + product.left_out);
    }
    return products;
  }

 private:
  // [B, T, C] seen as [B, T, H, D], normalised, and back.
  Tensor by_head(const HeadNorm& norm, const Tensor& x) const {
    return reshape(norm.forward(reshape(x, {x.shape[0], x.shape[1], heads, x.shape[2] / heads})), x.shape);
  }
};

const Registered<Attention, QKNormAttention<HeadLayerNorm>> layer("qk-layer-norm",
                                                                  "LayerNorm on q and k of each head");
const Registered<Attention, QKNormAttention<HeadRMSNorm>> rms("qk-rms-norm",
                                                              "RMSNorm on q and k of each head");

}  // namespace
}  // namespace ef
