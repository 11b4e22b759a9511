// Rank collapse, made to happen (in double: float32 ends before the effect does).
#include "engine/ops.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

// ||X - mean|| / ||X|| of the rows of one sequence (Frobenius).
double relative_residual(const Tensor& x) {
  const Index tokens = x.shape.rows(), c = x.shape.last();
  double residual = 0, whole = 0;
  for (Index j = 0; j < c; ++j) {
    double mean = 0;
    for (Index t = 0; t < tokens; ++t) mean += x.data[t * c + j] / static_cast<Real>(tokens);
    for (Index t = 0; t < tokens; ++t) {
      const double value = x.data[t * c + j];
      residual += (value - mean) * (value - mean);
      whole += value * value;
    }
  }
  return std::sqrt(residual / whole);
}

enum class Wiring { attention_alone, causal_attention_alone, with_residual_stream };

// Layers of attention on random tokens, no feed-forward part, no norm; queries and keys through random
// matrices, values as they are. Returns log(residual / ||X||) before the first and after each layer.
std::vector<double> log_residuals(Wiring wiring, int layers, std::uint64_t seed) {
  constexpr Index tokens = 16, c = 16;
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf first({1, tokens, c}, seed);
  Tensor x = first.constant();
  std::vector<double> logs = {std::log(relative_residual(x))};
  for (int layer = 0; layer < layers; ++layer) {
    const auto stream = seed + 10 + 2 * static_cast<std::uint64_t>(layer);
    Leaf w_q({c, c}, stream), w_k({c, c}, stream + 1);
    const Tensor q = linear(x, w_q.constant(), {}), k = linear(x, w_k.constant(), {});
    const Tensor scores = scale(matmul(q, k, false, true), Real(0.02));
    const bool causal = wiring == Wiring::causal_attention_alone;
    const Tensor z = matmul(causal ? causal_softmax(scores) : softmax(scores), x);
    x = wiring == Wiring::with_residual_stream ? add(x, z) : z;
    logs.push_back(std::log(relative_residual(x)));
  }
  return logs;
}

}  // namespace

// Dong, Cordonnier and Loukas 2021: the residual of attention alone shrinks with its third power in each
// layer, so its logarithm is multiplied by three: doubly exponential in depth. Near zero, where our tokens
// get after two layers:
TEST_CASE("attention alone loses rank doubly exponentially with depth", "[collapse]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<double> logs = log_residuals(Wiring::attention_alone, 4, seed);
    INFO("seed " << seed << ": " << logs[0] << " " << logs[1] << " " << logs[2] << " " << logs[3] << " "
                 << logs[4]);
    CHECK(logs[3] < 2 * logs[2]);
    CHECK(logs[4] < 2 * logs[3]);
    CHECK(logs[4] < -20);  // e^-20 after four layers
  }
}

// A finding: causal attention alone collapses too, but only exponentially. The first token sees nothing but
// itself and the second one half of it, so each layer leaves a fixed share of the residual.
TEST_CASE("causal attention alone loses rank exponentially, no faster", "[collapse]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<double> logs = log_residuals(Wiring::causal_attention_alone, 16, seed);
    INFO("seed " << seed);
    for (std::size_t layer = 4; layer < logs.size(); ++layer) {
      const double lost = logs[layer - 1] - logs[layer];
      CHECK(lost > 0.2);
      CHECK(lost < 1.2);
    }
  }
}

TEST_CASE("a residual stream slows the loss of rank to an exponential one at most", "[collapse]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<double> logs = log_residuals(Wiring::with_residual_stream, 8, seed);
    INFO("seed " << seed);
    for (std::size_t layer = 1; layer < logs.size(); ++layer) CHECK(logs[layer - 1] - logs[layer] < 1.2);
  }
}
