// Rotary positions (Su et al. 2021, arXiv 2104.09864): queries and keys are turned by angles that grow with
// their position, so that their product knows how far apart they are, and nothing else of where they stand.
//
// In each head of D channels, channel i and channel i + D/2 are the two coordinates of a plane (as in
// GPT-NeoX and Llama), i < D/2. At position t plane i is turned by t w_i, w_i = base^(-2 i / D):
//
//   (x_i, x_i+D/2)  ->  (x_i cos - x_i+D/2 sin, x_i+D/2 cos + x_i sin)
//
// With R(t) for all of these turns, <R(n) q, R(t) k> = q^T R(t - n) k: the logits are those of a product
// W = W_Q R(-offset) W_K^T that depends on the offset n - t alone (QKProduct::at_offset). Together with
// --positions none the model has no other notion of place.
#include "models/transformer.h"

namespace ef {
namespace {

const Option<double> base_option("rotary-base", 10000, above(1),
                                 "the slowest plane turns once in some 6 base tokens");

struct RotaryAttention : SoftmaxAttention {
  Index head_dim, context;
  std::vector<double> frequencies;   // of each plane, in radians a token
  std::vector<Real> cosines, sines;  // [context, D], the angles of a plane in both of its channels

  RotaryAttention(const Builder& b, const ModelConfig& c)
      : SoftmaxAttention(b, c), head_dim(c.channels / c.heads), context(c.context) {
    if (head_dim % 2 != 0)
      fail("rotary attention: channels of a head", std::to_string(head_dim), "an even number",
           "they are turned in pairs");
    const double base = base_option(c.options);
    for (Index i = 0; i < head_dim / 2; ++i)
      frequencies.push_back(std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim)));
    for (Index t = 0; t < context; ++t) {
      for (Index i = 0; i < head_dim; ++i) {
        const double angle = static_cast<double>(t) * frequencies[i % (head_dim / 2)];
        cosines.push_back(Real(std::cos(angle)));
        sines.push_back(Real(std::sin(angle)));
      }
    }
  }

  Tensor queries(const Tensor& x, Index first) const override { return turned(query.forward(x), first); }
  Tensor keys(const Tensor& x, Index first) const override { return turned(key.forward(x), first); }

  std::vector<QKProduct> qk() const override {
    std::vector<QKProduct> products = SoftmaxAttention::qk();
    for (QKProduct& product : products) product.frequencies = frequencies;
    return products;
  }

 private:
  // R(t) at each position t, from `first` on: [B, T, C] -> [B, T, C].
  Tensor turned(const Tensor& x, Index first_place) const {
    const Index half = head_dim / 2;
    const Tensor planes = reshape(x, {x.shape[0], x.shape[1], heads, head_dim});
    const Tensor first = slice(planes, 3, 0, half), second = slice(planes, 3, half, half);
    const Tensor across = concatenate({negate(second), first}, 3);
    return reshape(
        add(mul(planes, table(cosines, x, first_place)), mul(across, table(sines, x, first_place))), x.shape);
  }
  // Rows of a table, as constants beside [B, T, H, D].
  Tensor table(const std::vector<Real>& numbers, const Tensor& x, Index first) const {
    return {{1, x.shape[1], 1, head_dim},
            const_cast<Real*>(numbers.data() + first * head_dim),
            nullptr,
            "rotary angles"};
  }
};

const Registered<Attention, RotaryAttention> rotary("rotary", "queries and keys turned by their position",
                                                    {base_option});

}  // namespace
}  // namespace ef
