// The gradient of whole models, for every sibling of every part.
#include <cmath>
#include <deque>

#include "engine/gradcheck.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

ModelConfig tiny() {
  ModelConfig config;
  config.vocab = 7;
  config.context = 5;
  config.layers = 2;
  config.heads = 2;
  config.channels = 4;
  config.ffn = 6;
  config.dropout = 0.2;
  return config;
}

// gradcheck of the loss as a function of all trained parameters.
GradcheckVerdict check_model(const ModelConfig& config, Index sequences = 2) {
  Parameters parameters;
  Transformer declare(Builder(parameters, nullptr), config);
  parameters.allocate();
  parameters.initialise(3);
  Buffer gradients(parameters.flat_size());
  const Transformer model(Builder(parameters, gradients.data()), config);

  std::vector<std::int32_t> ids, targets;
  const Random random{5, stream_of(Purpose::test), 0};
  for (Index i = 0; i < sequences * config.context; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    ids.push_back(
        static_cast<std::int32_t>(random.below(2 * index, static_cast<std::uint64_t>(config.vocab))));
    targets.push_back(
        static_cast<std::int32_t>(random.below(2 * index + 1, static_cast<std::uint64_t>(config.vocab))));
  }
  targets[0] = ignored;

  // Larger weights than a model starts with: attention that is far from uniform, gradients that are far from
  // zero.
  std::vector<Parameter> trained;
  std::vector<GradcheckInput> inputs;
  for (const Parameter& p : parameters.list()) {
    if (!p.trained) continue;
    trained.push_back(p);
    inputs.push_back(random_input(p.shape, 99 + trained.size(), 0.5));
    std::copy(inputs.back().values.begin(), inputs.back().values.end(), parameters.values() + p.offset);
  }
  for (const auto& block : model.blocks) {  // state is a constant here, one that fits these weights
    for (int i = 0; i < 20; ++i) block->attention->prepare();
  }
  // The model reads and adds to buffers of its own, which all evaluations share: they are filled from the
  // inputs before each pass, and the gradients are carried over to the inputs after the backward.
  Real zero = 0;
  const auto set_weights = [&](const Tensor* in) {
    for (const Parameter& p : trained)
      std::copy_n((in++)->data, p.shape.size(), parameters.values() + p.offset);
    gradients.zero();
  };
  std::deque<std::vector<Tensor>> kept;  // tapes refer to them
  const auto loss = [&](const std::vector<Tensor>& inputs_now) {
    Tape& tape = Tape::current();
    const Tensor* in = kept.emplace_back(inputs_now).data();
    set_weights(in);
    // Recorded first, so they run last.
    Tensor carried{{1}, &zero, nullptr, "zero"};
    for (std::size_t k = 0; k < trained.size(); ++k) {
      const Tensor x = in[k], carry = tape.output("carry", {1}, {x});
      carry.data[0] = 0;
      tape.record(carry, [x, from = gradients.data() + trained[k].offset] {
        for (Index j = 0; x.grad && j < x.size(); ++j) x.grad[j] += from[j];
      });
      carried = add(carry, carried);
    }
    const Tensor y =
        cross_entropy(model.forward(ids, sequences), targets, {static_cast<double>(targets.size()), 0.1});
    const Tensor last = tape.output("last", {1}, {y, carried});
    last.data[0] = y.data[0];
    return tape.record(last, [=, &set_weights] {
      set_weights(in);
      y.grad[0] += last.grad[0];
    });
  };
  return gradcheck(loss, inputs);
}

}  // namespace

TEST_CASE("the model's gradient is right for every sibling", "[model]") {
  // Each check changes one dial of the default model.
  std::vector<std::pair<std::string, ModelConfig>> models;
  const auto vary = [&](std::string ModelConfig::*dial, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      models.emplace_back(name, tiny());
      models.back().second.*dial = name;
    }
  };
  vary(&ModelConfig::block, Registry<Block>::names());
  vary(&ModelConfig::attention, Registry<Attention>::names());
  vary(&ModelConfig::feed_forward, Registry<FeedForward>::names());
  vary(&ModelConfig::norm, Registry<Norm>::names());
  vary(&ModelConfig::final_norm, Registry<Norm>::names());
  vary(&ModelConfig::positions, Registry<Positions>::names());
  vary(&ModelConfig::activation, activation_names());
  vary(&ModelConfig::initialisation, Registry<Initialisation>::names());
  models.emplace_back("untied", tiny());
  models.back().second.tied = false;
  models.emplace_back("no biases", tiny());
  models.back().second.bias = false;
  models.emplace_back("one token", tiny());
  models.back().second.context = 1;
  for (const Index kv_heads : {1, 2, 4}) {
    models.emplace_back("kv-heads " + std::to_string(kv_heads), tiny());
    models.back().second.attention = "grouped-query";
    models.back().second.heads = 4;
    models.back().second.channels = 8;
    models.back().second.options.set("kv-heads", kv_heads);
  }
  // Each part without biases, too: what is left out is left out everywhere.
  const std::size_t with_biases = models.size();
  vary(&ModelConfig::block, Registry<Block>::names());
  vary(&ModelConfig::attention, Registry<Attention>::names());
  vary(&ModelConfig::feed_forward, Registry<FeedForward>::names());
  for (std::size_t i = with_biases; i < models.size(); ++i) {
    models[i].first += ", no biases";
    models[i].second.bias = false;
  }
  CHECK(models.size() >= 16);
  for (const auto& [name, config] : models) {
    INFO(name);
    const GradcheckVerdict verdict = check_model(config);
    INFO(verdict.message);
    CHECK(verdict.ok);
  }
}

TEST_CASE("fairseq's model: Post-LN, sinusoids, ReLU", "[model]") {
  ModelConfig config = tiny();
  config.block = "post-norm";
  config.positions = "sinusoidal";
  config.activation = "relu";
  config.final_norm = "none";
  const GradcheckVerdict verdict = check_model(config, 3);
  INFO(verdict.message);
  CHECK(verdict.ok);
}

namespace {

// A model with its parameters, as it starts.
struct Started {
  Parameters parameters;
  std::unique_ptr<Transformer> model;
  explicit Started(const ModelConfig& config) {
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(3);
    model = std::make_unique<Transformer>(Builder(parameters, nullptr), config);
  }
};

}  // namespace

TEST_CASE("a model refuses more tokens than its context, and no sequence", "[model]") {
  for (const std::string& positions : Registry<Positions>::names()) {
    ModelConfig config = tiny();
    config.positions = positions;
    const Started started(config);
    Tape tape;
    const Tape::Scope scope(tape);
    const std::vector<std::int32_t> ids(12, 1);
    const auto hidden = [&](std::size_t count, Index sequences) {
      started.model->hidden(std::span(ids).first(count), sequences);
    };
    check_throws([&] { hidden(6, 1); }, {"6 in 1 sequences", "5 tokens at most"});
    check_throws([&] { hidden(11, 2); }, {"11 in 2 sequences", "one length"});
    check_throws([&] { hidden(0, 0); }, {"0 in 0 sequences"});
    CHECK(thrown_by([&] { hidden(10, 2); }) == "nothing thrown");
  }
}

TEST_CASE("fairseq's padding row is that of the token table alone", "[model]") {
  ModelConfig config = tiny();
  config.initialisation = "fairseq";
  config.tied = false;
  const Started started(config);
  const auto squares = [&](const Tensor& table, Index row) {
    double sum = 0;
    for (Index c = 0; c < config.channels; ++c)
      sum += std::pow(static_cast<double>(table.data[row * config.channels + c]), 2);
    return sum;
  };
  CHECK(squares(started.model->tokens, 1) == 0);
  CHECK(squares(started.model->tokens, 2) > 0);
  CHECK(squares(started.model->unembed, 1) > 0);
}

// A model that sees what comes after learns nothing, at a small loss. So nobody may look ahead.
TEST_CASE("no sibling looks ahead: a later token changes nothing before it", "[model]") {
  std::vector<std::pair<std::string, ModelConfig>> models;
  const auto vary = [&](std::string ModelConfig::*dial, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      models.emplace_back(name, tiny());
      models.back().second.*dial = name;
    }
  };
  vary(&ModelConfig::attention, Registry<Attention>::names());
  vary(&ModelConfig::block, Registry<Block>::names());
  vary(&ModelConfig::feed_forward, Registry<FeedForward>::names());
  vary(&ModelConfig::norm, Registry<Norm>::names());
  vary(&ModelConfig::positions, Registry<Positions>::names());
  for (auto& [name, config] : models) {
    config.dropout = 0;
    Parameters parameters;
    const Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    std::uint64_t seed = 40;
    for (const Parameter& p : parameters.list()) {
      const std::vector<Real> values = random_input(p.shape, seed++, 0.5).values;
      std::copy(values.begin(), values.end(), parameters.values() + p.offset);
    }
    const Transformer model(Builder(parameters, nullptr), config);
    Tape tape;
    const Tape::Scope scope(tape);
    const auto stream = [&](const std::vector<std::int32_t>& ids) {
      tape.reset();
      return values_of(model.hidden(ids, 1));
    };
    const std::vector<Real> before = stream({1, 2, 3, 4, 5});
    for (std::size_t changed = 1; changed < 5; ++changed) {
      INFO(name << ": token " << changed);
      std::vector<std::int32_t> ids = {1, 2, 3, 4, 5};
      ids[changed] = 6;
      const std::vector<Real> after = stream(ids);
      const std::size_t seen = changed * static_cast<std::size_t>(config.channels);
      double ahead = 0, here = 0;
      for (std::size_t i = 0; i < before.size(); ++i)
        (i < seen ? ahead : here) += std::fabs(after[i] - before[i]);
      CHECK(ahead < 1e-12);
      CHECK(here > 1e-6);  // or the test would see nothing
    }
  }
}
