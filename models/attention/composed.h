// Attention op by op, for siblings that work on the logits or on the pattern and so need them as tensors,
// where SoftmaxAttention is fused: the same numbers up to rounding, with memory that grows with T^2.
#pragma once
#include "models/transformer.h"

namespace ef {

// logits_of says what enters the pattern, from <query_i, key_t> / sqrt(D); pattern_of what weighs the values.
// All of them are [B, H, T, T], or, of a token that follows others, their last row, [B, H, 1, T]: so a mask
// is made for shape[2] rows of shape[3]. Probes see both. What is in them of a future token counts for
// nothing in the logits, and must be 0 in the pattern.
struct ComposedAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;
  virtual Tensor logits_of(const Tensor& products) const { return products; }
  virtual Tensor pattern_of(const Tensor& logits) const { return causal_softmax(logits); }
  // What shapes the logits and is not in W: "the soft cap".
  virtual std::string not_in_w() const { return ""; }

  Tensor mix(const Tensor& q, const Tensor& k, const Tensor& v) const override {
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor logits = see_logits(logits_of(ef::scale(products, scale)));
    const Tensor pattern = see_pattern(pattern_of(logits));
    return merge_heads(matmul(pattern, split_heads(v, heads)));
  }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = SoftmaxAttention::qk();
    for (QKProduct& product : products)
      if (!not_in_w().empty()) product.left_out = not_in_w() + ", " + product.left_out;
    return products;
  }
};

}  // namespace ef
