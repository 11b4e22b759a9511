// Attention to the nearest tokens only (Beltagy et al. 2020): a token sees itself and the --window-size - 1
// before it.
#include "models/attention/composed.h"

namespace ef {
namespace {

const Option<Index> size("window-size", 32, at_least(1),
                         "a token sees itself and so many less one before it");

struct SlidingWindowAttention : ComposedAttention {
  Index window;

  SlidingWindowAttention(const Builder& b, const ModelConfig& c)
      : ComposedAttention(b, c), window(size(c.options)) {}
  Tensor pattern_of(const Tensor& logits) const override {
    return softmax(where(window_mask(logits.shape[3], window, logits.shape[2]), logits, unseen));
  }
  std::string not_in_w() const override { return "the window"; }
};

const Registered<Attention, SlidingWindowAttention> sliding_window("sliding-window",
                                                                   "of the last --window-size tokens",
                                                                   {size});

}  // namespace
}  // namespace ef
