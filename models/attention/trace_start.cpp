// Attention whose heads start with a trace of one's choice, tr W = c (--start-trace), and are ordinary from
// then on. A control of ours: it tells whether the start alone does what LocAteR does, which holds the trace
// throughout.
//
// tr W = <W_Q, W_K> has the gradient (W_K, W_Q). One step of length b along it, the same for both,
//
//   W_Q <- W_Q + b W_K,   W_K <- W_K + b W_Q   (old values on the right),
//
// takes the random start's trace t to  t + b n + b^2 t,  n = ||W_Q||_F^2 + ||W_K||_F^2. That is c for the
// smaller of two b; where none is real, as with few or small weights of which t has the wrong sign, start()
// throws an Error. Biases start as everywhere.
#include "models/transformer.h"

namespace ef {
namespace {

const Option<double> option("start-trace", 16, any_number(), "tr W of each head at the start");

struct TraceStartAttention : SoftmaxAttention {
  double wanted;  // c

  TraceStartAttention(const Builder& b, const ModelConfig& c)
      : SoftmaxAttention(b, c), wanted(option(c.options)) {}

  void start(const Random&) override {
    for (const QKProduct& product : qk()) start_head(product);
  }

 private:
  void start_head(const QKProduct& product) const {
    Real *q = product.query.data, *k = product.key.data;
    const Index size = product.query.size();
    double t = 0, n = 0;
    for (Index i = 0; i < size; ++i) {
      const auto a = static_cast<double>(q[i]), b = static_cast<double>(k[i]);
      t += a * b;
      n += a * a + b * b;
    }
    const double step = smallest_step(t, n, product.head);
    for (Index i = 0; i < size; ++i) {
      const auto a = static_cast<double>(q[i]), b = static_cast<double>(k[i]);
      q[i] = Real(a + step * b);
      k[i] = Real(b + step * a);
    }
  }

  // The root of smallest size of t b^2 + n b - (c - t) = 0. n is at least 2 |t|. With n + sqrt below the
  // line nothing cancels, and t = 0 is no special case: b = (c - t) / n.
  double smallest_step(double t, double n, Index head) const {
    const double square = n * n + 4 * t * (wanted - t);
    if (wanted == t) return 0;
    if (!(square >= 0 && n > 0)) {
      fail("start trace: no step along the gradient takes head " + std::to_string(head) + " there",
           std::to_string(wanted),
           n > 0 ? (t > 0 ? "at least " : "at most ") + std::to_string(t - n * n / (4 * t))
                 : "0, as its weights are all zero",
           "another --start-trace or --seed, or larger weights at the start (--init)");
    }
    return 2 * (wanted - t) / (n + std::sqrt(square));
  }
};

const Registered<Attention, TraceStartAttention> trace_start("trace-start",
                                                             "softmax, but tr W starts at --start-trace",
                                                             {option});

}  // namespace
}  // namespace ef
