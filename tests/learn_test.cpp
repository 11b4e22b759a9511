// Answers to the exercises of engine/LEARN.md.
#include <numeric>

#include "engine/lapack.h"
#include "engine/ops.h"
#include "engine/optimisers/optimiser.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

// A model of one layer, with its gradients.
struct Learner {
  ModelConfig config;
  Parameters parameters;
  Buffer gradients{0};
  std::unique_ptr<Transformer> model;
  Tape tape;

  explicit Learner(Index context) {
    config.vocab = 7;
    config.context = context;
    config.layers = 1;
    config.heads = 2;
    config.channels = 8;
    config.ffn = 8;
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(1);
    // Large enough that attention is not even.
    for (const Parameter& p : parameters.list())
      for (Index i = 0; p.shape.rank == 2 && i < p.shape.size(); ++i) parameters.values()[p.offset + i] *= 10;
    gradients = Buffer(parameters.flat_size());
    model = std::make_unique<Transformer>(Builder(parameters, gradients.data()), config);
  }
  std::vector<Real> outputs(const std::vector<std::int32_t>& ids) {
    tape.reset();
    const Tape::Scope scope(tape);
    return values_of(model->forward(ids, 1));
  }
  void learn(const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& targets,
             Index sequences = 1) {
    tape.reset();
    gradients.zero();
    const Tape::Scope scope(tape);
    tape.backward(model->loss(ids, sequences, targets, {static_cast<double>(ids.size())}));
  }
  double gradient_norm(const std::string& path) {
    const Tensor p = parameters.at(path, gradients.data());
    const Real* g = p.grad;
    double squares = 0;
    for (Index i = 0; i < p.size(); ++i) squares += static_cast<double>(g[i]) * static_cast<double>(g[i]);
    return std::sqrt(squares);
  }
};

}  // namespace

TEST_CASE("exercise 1: a tensor that is used twice gets both gradients, added up", "[learn]") {
  Leaf x({3}, {1, 2, 3});
  Tape tape;
  const Tape::Scope scope(tape);
  tape.backward(sum(mul(x.tensor(), x.tensor())));
  CHECK(x.gradient == std::vector<Real>{2, 4, 6});
}

TEST_CASE("exercise 2: the gradient of a softmax's inputs adds up to 0", "[learn]") {
  Leaf x({2, 5}, 1);
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf weights({2, 5}, 2);
  tape.backward(sum(mul(softmax(x.tensor()), weights.constant())));
  for (int row = 0; row < 2; ++row)
    CHECK(std::fabs(std::accumulate(x.gradient.begin() + 5 * row, x.gradient.begin() + 5 * row + 5, 0.0)) <
          1e-6);
}

TEST_CASE("exercise 3: a token alone can only look at itself: queries and keys learn nothing", "[learn]") {
  Learner learner(4);
  learner.learn({3}, {5});
  CHECK(learner.gradient_norm("blocks.0.attn.q.weight") < 1e-6);
  CHECK(learner.gradient_norm("blocks.0.attn.k.weight") < 1e-6);
  CHECK(learner.gradient_norm("blocks.0.attn.v.weight") > 1e-3);
}

TEST_CASE("exercise 4: what all keys share moves all logits of a row alike, and softmax does not see it",
          "[learn]") {
  Learner learner(4);
  const std::vector<std::int32_t> ids = {3, 1, 4, 1};
  const std::vector<Real> before = learner.outputs(ids);
  learner.learn(ids, {1, 4, 1, 5});
  CHECK(learner.gradient_norm("blocks.0.attn.k.bias") < 1e-5 * learner.gradient_norm("blocks.0.attn.v.bias"));
  CHECK(learner.gradient_norm("blocks.0.attn.q.bias") > 1e-5);
  const Tensor bias = learner.parameters.at("blocks.0.attn.k.bias");
  for (Index i = 0; i < bias.size(); ++i) bias.data[i] += Real(0.5);
  CHECK(distance(learner.outputs(ids), before) < 1e-4);
}

TEST_CASE("exercise 5: a token changes its own output and those after it, never those before", "[learn]") {
  Learner learner(4);
  const std::vector<Real> one = learner.outputs({3, 1, 4, 1}), other = learner.outputs({3, 1, 4, 2});
  const auto last = static_cast<std::ptrdiff_t>(3 * learner.config.vocab);
  CHECK(std::equal(one.begin(), one.begin() + last, other.begin()));
  CHECK_FALSE(std::equal(one.begin() + last, one.end(), other.begin() + last));
}

TEST_CASE("exercise 6: Adam's first step is as long as the learning rate, whatever the gradient", "[learn]") {
  for (const Real size : {Real(1e-3), Real(1), Real(1e3)}) {
    Parameters parameters;
    const Builder builder(parameters, nullptr);
    builder.parameter("weight", {3}, Init::zeros());
    parameters.allocate();
    OptimiserConfig config;
    config.rule = "adamw";
    config.weight_decay = 0;
    Optimiser optimiser(parameters, config, 1);
    Buffer gradients(parameters.flat_size());
    gradients.data()[0] = size;
    gradients.data()[1] = -size;
    optimiser.update(0, parameters.values(), gradients.data(), 1, 0.01, 1);
    CHECK(static_cast<double>(parameters.values()[0]) == Approx(-0.01).epsilon(1e-4));
    CHECK(static_cast<double>(parameters.values()[1]) == Approx(0.01).epsilon(1e-4));
    CHECK(parameters.values()[2] == 0);
  }
}

TEST_CASE("exercise 7: each half is divided by the tokens of the whole batch, and gradients are added",
          "[learn]") {
  Learner learner(4);
  const std::vector<std::int32_t> ids = {3, 1, 4, 1, 5, 2, 6, 5}, targets = {1, 4, 1, 5, 2, 6, 5, 3};
  learner.learn(ids, targets, 2);
  const std::vector<Real> whole(learner.gradients.data(),
                                learner.gradients.data() + learner.gradients.size());
  learner.gradients.zero();
  for (std::ptrdiff_t half : {0, 4}) {
    learner.tape.reset();
    const Tape::Scope scope(learner.tape);
    const std::vector<std::int32_t> in(ids.begin() + half, ids.begin() + half + 4);
    const std::vector<std::int32_t> out(targets.begin() + half, targets.begin() + half + 4);
    learner.tape.backward(learner.model->loss(in, 1, out, {8.0}));  // 8, and not the 4 of this half
  }
  CHECK(distance({learner.gradients.data(), whole.size()}, whole) < 1e-5);
}

TEST_CASE("exercise 8: only the product W_Q W_K^T counts: what one gains the other may lose", "[learn]") {
  Learner learner(4);
  const std::vector<std::int32_t> ids = {3, 1, 4, 1};
  const std::vector<Real> before = learner.outputs(ids);
  const double trace = learner.model->qk().front().trace();
  for (const auto& [path, factor] :
       {std::pair{"blocks.0.attn.q", Real(3)}, std::pair{"blocks.0.attn.k", Real(1) / 3}}) {
    for (const char* part : {".weight", ".bias"}) {
      const Tensor p = learner.parameters.at(path + std::string(part));
      for (Index i = 0; i < p.size(); ++i) p.data[i] *= factor;
    }
  }
  CHECK(distance(learner.outputs(ids), before) < 1e-3);
  CHECK(learner.model->qk().front().trace() == Approx(trace).epsilon(1e-4));
}

TEST_CASE("exercise 9: D of the C eigenvalues of W at most; their sum is the trace, and that of the core",
          "[learn]") {
  Learner learner(4);
  const QKProduct product = learner.model->qk().front();
  const Index C = learner.config.channels, D = C / learner.config.heads;
  // W itself, C x C, from the rows of this head.
  std::vector<Real> w(C * C, 0);
  for (Index i = 0; i < C; ++i)
    for (Index j = 0; j < C; ++j)
      for (Index d = 0; d < D; ++d)
        w[i * C + j] += product.query.data[d * C + i] * product.key.data[d * C + j];
  const Leaf whole({C, C}, w);
  Tape tape;
  const Tape::Scope scope(tape);
  const Tensor all = eigenvalues(Leaf(whole).constant());
  double sum = 0, largest = 0;
  Index others = 0;
  for (Index i = 0; i < C; ++i)
    largest = std::max(largest, std::hypot(double(all.data[2 * i]), double(all.data[2 * i + 1])));
  for (Index i = 0; i < C; ++i) {
    sum += static_cast<double>(all.data[2 * i]);
    others += std::hypot(double(all.data[2 * i]), double(all.data[2 * i + 1])) > 1e-3 * largest;
  }
  CHECK(others <= D);
  CHECK(sum == Approx(product.trace()).epsilon(1e-3));
}

TEST_CASE("exercise 10: where two eigenvalues meet and share a vector, there is no gradient", "[learn]") {
  // [[0, 1], [e, 0]] has the eigenvalues +-sqrt(e), whose slope at e = 0 is infinite.
  const Index before = near_defective_count();
  Leaf m({2, 2}, {0, 1, 0, 0});
  Tape tape;
  const Tape::Scope scope(tape);
  const Tensor lambda = eigenvalues(m.tensor());
  Leaf pick({2, 2}, {1, 0, 0, 0});
  tape.backward(sum(mul(lambda, pick.constant())));
  CHECK(near_defective_count() > before);  // it is left out, and counted
  for (const Real g : m.gradient) CHECK(std::isfinite(g));
}
