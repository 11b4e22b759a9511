// Attention to the nearest tokens only (Beltagy et al. 2020): a token sees itself and the --window-size - 1 before it.
#include "models/transformer.h"

namespace ef {
namespace {

const Option<Index> size("window-size", 32, at_least(1), "a token sees itself and so many less one before it");

struct SlidingWindowAttention : SoftmaxAttention {
  Index window;

  SlidingWindowAttention(const Builder& b, const ModelConfig& c) : SoftmaxAttention(b, c), window(size(c.options)) {}

  Tensor forward(const Tensor& x) const override {
    const Tensor q = see_q(query.forward(x)), k = see_k(key.forward(x)), v = see_v(value.forward(x));
    const Tensor products = matmul(split_heads(q, heads), split_heads(k, heads), false, true);
    const Tensor logits =
        see_logits(where(window_mask(x.shape[1], window), ef::scale(products, scale), unseen));
    const Tensor pattern = see_pattern(softmax(logits));
    return out.forward(see_z(merge_heads(matmul(pattern, split_heads(v, heads)))));
  }
};

const Registered<Attention, SlidingWindowAttention> sliding_window("sliding-window",
                                                                   "of the last --window-size tokens", {size});

}  // namespace
}  // namespace ef
