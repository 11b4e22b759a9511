// Attention whose queries and keys start as those of trained models look (mimetic initialisation, Trockman
// and Kolter 2023). For each head
//
//   W_Q W_K^T ~ alpha Z + beta I,   Z [C, C] with entries N(0, 1 / C),   alpha = beta = 0.7:
//
// with U S V^T = alpha Z + beta I and the D largest singular values, W_Q = U_D S_D^1/2 and W_K = V_D S_D^1/2,
// the best product of rank D. So the start has a positive trace: tokens attend to tokens like themselves.
// The form, the SVD and alpha = beta = 0.7 are theirs (for vision transformers). They also start
// W_V W_out ~ 0.4 (Z - I); that, made for bidirectional vision models, is left out here. Biases start as
// everywhere.
#include "engine/lapack.h"
#include "models/transformer.h"

namespace ef {
namespace {

struct MimeticAttention : SoftmaxAttention {
  using SoftmaxAttention::SoftmaxAttention;

  void start(const Random& random) override {
    for (Index head = 0; head < heads; ++head) start_head(random, head);
  }

 private:
  void start_head(const Random& random, Index head) {
    constexpr double alpha = 0.7, beta = 0.7;
    const Index c = query.weight.shape[1], d = c / heads;
    const double deviation = 1 / std::sqrt(static_cast<double>(c));
    std::vector<Real> wanted(c * c);
    for (Index i = 0; i < c * c; ++i) {
      const double z = deviation * random.normal(static_cast<std::uint64_t>(head * c * c + i));
      wanted[i] = Real(alpha * z + (i % (c + 1) == 0 ? beta : 0));
    }
    const lapack::Svd svd = lapack::svd(wanted, c, c);
    // Row h D + i of a weight is column i of the head's W_Q or W_K.
    for (Index i = 0; i < d; ++i) {
      const Real root = std::sqrt(svd.values[i]);
      for (Index j = 0; j < c; ++j) {
        query.weight.data[(head * d + i) * c + j] = root * svd.u[j * c + i];
        key.weight.data[(head * d + i) * c + j] = root * svd.vt[i * c + j];
      }
    }
  }
};

const Registered<Attention, MimeticAttention> mimetic("mimetic", "W_Q W_K^T starts near 0.7 (Z + I)");

}  // namespace
}  // namespace ef
