// Known answers for feed-forward parts, blocks and starts. (Their gradients inside of whole models are
// checked in model_test.cpp, how blocks join their parts in tests/models/probes_test.cpp.)
#include <cmath>
#include <set>

#include "models/transformer.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Values = std::vector<Real>;

ModelConfig small() {
  ModelConfig config;
  config.vocab = 7;
  config.context = 5;
  config.layers = 2;
  config.heads = 2;
  config.channels = 6;
  config.ffn = 9;
  return config;
}

struct Model {
  Parameters parameters;
  Buffer gradients;
  std::unique_ptr<Transformer> transformer;

  explicit Model(const ModelConfig& config) {
    const Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(3);
    gradients = Buffer(parameters.flat_size());
    transformer = std::make_unique<Transformer>(Builder(parameters, gradients.data()), config);
  }
  Values values(const std::string& path) { return values_of(parameters.at(path)); }
  std::set<std::string> paths_of_block() const {
    std::set<std::string> paths;
    for (const Parameter& p : parameters.list())
      if (p.path.starts_with("blocks.1.")) paths.insert(p.path.substr(9));
    return paths;
  }
};

ModelConfig with(std::string ModelConfig::*dial, const std::string& name) {
  ModelConfig config = small();
  config.*dial = name;
  return config;
}

const std::vector<std::int32_t> ids = {1, 2, 3, 4, 5};

}  // namespace

// ---- Feed-forward

TEST_CASE("swiglu: down(silu(gate(x)) * up(x)), place by place", "[parts]") {
  Model model(with(&ModelConfig::feed_forward, "swiglu"));
  std::uint64_t seed = 20;
  for (const Parameter& p : model.parameters.list()) {
    const Leaf noise(p.shape, seed++);
    std::copy(noise.values.begin(), noise.values.end(), model.parameters.values() + p.offset);
  }
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf x({1, 2, 6}, 9);
  const Values y = values_of(model.transformer->blocks[1]->feed_forward->forward(x.constant()));
  const auto row = [&](const char* layer, const Real* in, Index width, Index i) {
    const Values w = model.values(std::string("blocks.1.mlp.") + layer + ".weight");
    Real sum = model.values(std::string("blocks.1.mlp.") + layer + ".bias")[i];
    for (Index j = 0; j < width; ++j) sum += w[i * width + j] * in[j];
    return sum;
  };
  Values expected;
  for (Index t = 0; t < 2; ++t) {
    const Real* in = x.values.data() + t * 6;
    Values inner;
    for (Index f = 0; f < 9; ++f) {
      const Real gate = row("gate", in, 6, f);
      inner.push_back(gate / (1 + std::exp(-gate)) * row("up", in, 6, f));
    }
    for (Index c = 0; c < 6; ++c) expected.push_back(row("down", inner.data(), 9, c));
  }
  CHECK(distance(y, expected) < 1e-11);
}

TEST_CASE("swiglu: with 2/3 of the inner width it has as many weights", "[parts]") {
  ModelConfig config = small();
  config.bias = false;
  const Index weights = Model(config).parameters.count();
  config.feed_forward = "swiglu";
  config.ffn = 6;
  CHECK(Model(config).parameters.count() == weights);
}

TEST_CASE("feed-forward parts of every kind stand below mlp", "[parts]") {
  for (const std::string& name : Registry<FeedForward>::names()) {
    INFO(name);
    std::set<std::string> others;
    for (const std::string& path : Model(with(&ModelConfig::feed_forward, name)).paths_of_block())
      if (!path.starts_with("attn")) others.insert(path.substr(0, path.find('.')));
    CHECK(others == std::set<std::string>{"mlp", "mlp_norm"});
  }
  CHECK(Model(small()).paths_of_block().contains("mlp.up.weight"));
  CHECK(Model(small()).paths_of_block().contains("mlp.down.bias"));
}

// ---- Blocks

TEST_CASE("parallel has one norm, sandwich-norm four", "[parts]") {
  const auto norms = [](const std::string& block) {
    std::set<std::string> list;
    for (const std::string& path : Model(with(&ModelConfig::block, block)).paths_of_block())
      if (path.ends_with("norm.weight")) list.insert(path.substr(0, path.find('.')));
    return list;
  };
  CHECK(norms("pre-norm") == std::set<std::string>{"attn_norm", "mlp_norm"});
  CHECK(norms("parallel") == std::set<std::string>{"norm"});
  CHECK(norms("sandwich-norm") ==
        std::set<std::string>{"attn_norm", "mlp_norm", "attn_out_norm", "mlp_out_norm"});
}

TEST_CASE("sandwich-norm: the size of what a part gives does not reach the stream", "[parts]") {
  const auto stream = [](const std::string& block, Real factor) {
    ModelConfig config = with(&ModelConfig::block, block);
    config.bias = false;
    Model model(config);
    for (const char* path : {"blocks.0.attn.out.weight", "blocks.1.mlp.down.weight"}) {
      const Tensor w = model.parameters.at(path);
      for (Index i = 0; i < w.size(); ++i) w.data[i] *= factor;
    }
    Tape tape;
    const Tape::Scope scope(tape);
    const Listener listener;
    model.transformer->hidden(ids, 1);
    return values_of(listener.seen().at("blocks.1.resid_post"));
  };
  // From 1e4 on, so that the norm's epsilon is not seen.
  CHECK(distance(stream("sandwich-norm", Real(1e4)), stream("sandwich-norm", Real(1e6))) < 1e-3);
  CHECK(distance(stream("pre-norm", Real(1e4)), stream("pre-norm", Real(1e6))) > 100);
}

// ---- Starts

TEST_CASE("zero-residual: blocks start as the identity, all else as with gpt2", "[parts]") {
  const ModelConfig config = with(&ModelConfig::initialisation, "zero-residual");
  Model zero(config), gpt2(small());
  for (const Parameter& p : zero.parameters.list()) {
    INFO(p.path);
    const bool ends = p.path.ends_with("attn.out.weight") || p.path.ends_with("mlp.down.weight");
    CHECK(zero.values(p.path) ==
          (ends ? Values(static_cast<std::size_t>(p.shape.size()), 0) : gpt2.values(p.path)));
  }
  Tape tape;
  const Tape::Scope scope(tape);
  const Listener listener;
  const std::vector<std::int32_t> next = {2, 3, 4, 5, 6};
  tape.backward(zero.transformer->loss(ids, 1, next));
  Values stream(5 * 6);
  for (Index i = 0; i < 30; ++i)
    stream[i] = zero.values("tokens.weight")[ids[i / 6] * 6 + i % 6] + zero.values("positions.weight")[i];
  CHECK(values_of(listener.seen().at("blocks.1.resid_post")) == stream);
  // In a block only what adds to the stream moves at first.
  for (const Parameter& p : zero.parameters.list()) {
    if (!p.path.starts_with("blocks.")) continue;
    INFO(p.path);
    const Real* g = zero.gradients.data() + p.offset;
    const bool adds =
        p.path.find("attn.out.") != std::string::npos || p.path.find("mlp.down.") != std::string::npos;
    CHECK((distance({g, g + p.shape.size()}, Values(static_cast<std::size_t>(p.shape.size()), 0)) > 0) ==
          adds);
  }
}

}  // namespace ef
