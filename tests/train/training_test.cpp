// The training step, through the Trainer: what it promises about workers, micro-batches, memory and NaN.
#include <limits>
#include <numeric>

#include "engine/matmul/blas.h"
#include "models/sampling.h"
#include "tests/helpers.h"
#include "train/trainer.h"

using namespace ef;

// As in all programs: workers are the only threads.
[[maybe_unused]] const bool one_thread = (blas::use_one_thread(), true);

namespace {

Config small() {
  Config config;
  config.model.vocab = 11;
  config.model.context = 12;
  config.model.layers = 2;
  config.model.heads = 2;
  config.model.channels = 16;
  config.model.ffn = 32;
  config.steps = 200;
  config.schedule.peak = 1e-2;
  config.schedule.warmup = 10;
  config.schedule.name = "constant";
  return config;
}

Batch random_batch(const Config& config, Index sequences, std::uint64_t seed = 1) {
  Batch batch;
  batch.sequences = sequences;
  batch.tokens = config.model.context;
  const Random random{seed, stream_of(Purpose::test), 0};
  for (Index i = 0; i < batch.sequences * batch.tokens; ++i) {
    const auto index = static_cast<std::uint64_t>(i), vocab = static_cast<std::uint64_t>(config.model.vocab);
    batch.inputs.push_back(static_cast<std::int32_t>(random.below(2 * index, vocab)));
    batch.targets.push_back(i % 7 == 3 ? ignored
                                       : static_cast<std::int32_t>(random.below(2 * index + 1, vocab)));
    batch.scored += batch.targets.back() != ignored;
  }
  return batch;
}

std::vector<Real> weights_of(Trainer& trainer) {
  return {trainer.parameters().values(), trainer.parameters().values() + trainer.parameters().flat_size()};
}

std::vector<Real> gradients_of(const Config& config, Index workers, const Batch& batch) {
  Workers threads(workers);
  Trainer trainer(config, threads);
  trainer.loss_and_gradients(batch, 0);
  return {trainer.gradients(), trainer.gradients() + trainer.parameters().flat_size()};
}

std::vector<Real> train(const Config& config, Index workers, Index steps) {
  Workers threads(workers);
  Trainer trainer(config, threads);
  for (Index done = 0; done < steps; ++done) {
    trainer.step(random_batch(config, 6, static_cast<std::uint64_t>(done)), done);
  }
  return weights_of(trainer);
}

std::vector<double> losses_of(const Config& config, Index workers, Index steps) {
  Workers threads(workers);
  Trainer trainer(config, threads);
  std::vector<double> losses;
  for (Index done = 0; done < steps; ++done) {
    losses.push_back(trainer.step(random_batch(config, 6, static_cast<std::uint64_t>(done)), done).loss);
  }
  return losses;
}

double largest(const std::vector<Real>& values) {
  return distance(values, std::vector<Real>(values.size(), Real(0)));
}

}  // namespace

TEST_CASE("one batch is learned by heart", "[training]") {
  for (const char* block : {"pre-norm", "post-norm"}) {
    INFO(block);
    Config config = small();
    config.model.block = block;
    Workers threads(1);
    Trainer trainer(config, threads);
    const Batch batch = random_batch(config, 4);
    double first = trainer.step(batch, 0).loss, loss = first;
    for (Index done = 1; done < 300; ++done) loss = trainer.step(batch, done).loss;
    CHECK(first > 2);  // about log 11
    CHECK(loss < 0.05);
  }
}

TEST_CASE("two runs with the same seed give the same bits, another seed does not", "[training]") {
  Config config = small();
  config.model.dropout = 0.1;
  for (Index workers : {1, 2, 3}) {
    INFO(workers << " workers");
    CHECK(train(config, workers, 20) == train(config, workers, 20));
  }
  Config other = config;
  other.seed = 2;
  CHECK(train(config, 1, 20) != train(other, 1, 20));
}

TEST_CASE("more workers than one change the gradient by rounding only", "[training]") {
  Config config = small();
  config.model.dropout = 0.1;  // its masks belong to the batch, not to the worker
  config.label_smoothing = 0.1;
  const Batch batch = random_batch(config, 7);
  const std::vector<Real> one = gradients_of(config, 1, batch);
  for (Index workers : {2, 3, 7, 9}) {
    INFO(workers << " workers");  // nine: two of them have nothing to do
    CHECK(distance(gradients_of(config, workers, batch), one) <= 1e-6 * largest(one));
  }
  const std::vector<double> losses = losses_of(config, 1, 20);
  const std::vector<double> others = losses_of(config, 2, 20);
  for (std::size_t step = 0; step < losses.size(); ++step)
    CHECK(std::fabs(others[step] - losses[step]) <= 1e-5);
}

TEST_CASE("micro-batches add up to the big batch", "[training]") {
  Config config = small();
  config.model.dropout = 0.1;
  const Batch batch = random_batch(config, 7);
  const std::vector<Real> whole = gradients_of(config, 1, batch);
  for (Index micro_batch : {1, 2, 3, 7, 100}) {
    INFO("micro-batch " << micro_batch);
    config.micro_batch = micro_batch;
    CHECK(distance(gradients_of(config, 1, batch), whole) <= 1e-6 * largest(whole));
    CHECK(distance(gradients_of(config, 2, batch), whole) <= 1e-6 * largest(whole));
  }
}

TEST_CASE("a whole training step allocates nothing after the first one", "[training]") {
  Config config = small();
  config.model.dropout = 0.1;
  for (Index workers : {1, 2}) {
    Workers threads(workers);
    Trainer trainer(config, threads);
    const Batch batch = random_batch(config, 6);
    trainer.step(batch, 0);
    const MemoryPlan plan = trainer.plan();
    const long before = operator_new_calls();
    for (Index done = 1; done < 5; ++done) trainer.step(batch, done);
    CHECK(operator_new_calls() == before);
    const MemoryPlan after = trainer.plan();
    CHECK(after.total() - after.other == plan.total() - plan.other);
  }
}

TEST_CASE("clipping bounds the step, and the norm reported is that before it", "[training]") {
  Config config = small();
  config.optimiser.weight_decay = 0;
  config.clip = 0;
  const Batch batch = random_batch(config, 4);
  Workers threads(1);
  Trainer trainer(config, threads);
  const double loss = trainer.loss_and_gradients(batch, 0);
  double squares = 0;
  for (Index i = 0; i < trainer.parameters().flat_size(); ++i) {
    squares += static_cast<double>(trainer.gradients()[i]) * static_cast<double>(trainer.gradients()[i]);
  }
  const StepResult result = trainer.step(batch, 0);
  CHECK(result.loss == loss);
  CHECK(result.gradient_norm == Approx(std::sqrt(squares)));
  // Adam's second moment shows which gradient reached it: (1 - beta2) g^2.
  config.clip = result.gradient_norm / 10;
  Trainer clipped(config, threads);
  CHECK(clipped.step(batch, 0).gradient_norm == Approx(result.gradient_norm));
  const auto second_moment = [](const Trainer& of) {
    return static_cast<double>(of.optimiser().remembered("second_moment", "tokens.weight")[5]);
  };
  CHECK(second_moment(trainer) > 0);
  CHECK(second_moment(clipped) == Approx(second_moment(trainer) / 100).epsilon(1e-3));
}

TEST_CASE("a NaN stops the run, names where it came from, and changes no weight", "[training]") {
  Workers threads(2);
  Trainer trainer(small(), threads);
  const Batch batch = random_batch(small(), 4);
  trainer.step(batch, 0);
  Tensor weight = trainer.parameters().at("blocks.1.mlp.up.weight");
  weight.data[3] = std::numeric_limits<Real>::quiet_NaN();
  const std::vector<Real> before = weights_of(trainer);
  check_throws<NumericalError>([&] { trainer.step(batch, 1); },
                               {"step 2", "NaN", "linear", "blocks.1.mlp.up"});
  const std::vector<Real> after = weights_of(trainer);
  for (std::size_t i = 0; i < before.size(); ++i) {
    REQUIRE((before[i] == after[i] || (std::isnan(before[i]) && std::isnan(after[i]))));
  }
}

TEST_CASE("evaluation gives the same bits for any number of workers, without dropout and label smoothing",
          "[training]") {
  Config config = small();
  Split split;
  const Random random{4, stream_of(Purpose::test), 0};
  for (std::uint64_t i = 0; i < 500; ++i) split.ids.push_back(static_cast<std::int32_t>(random.below(i, 11)));
  const ValidationWindows windows(split, 0, config.model.context);
  double nats = 0;
  for (Index workers : {1, 2, 3}) {
    config.model.dropout = workers == 1 ? 0 : 0.5;
    config.label_smoothing = workers == 1 ? 0 : 0.3;
    Workers threads(workers);
    Trainer trainer(config, threads);
    const Evaluation e = trainer.evaluate(windows, 4);
    CHECK(e.tokens == 500);
    CHECK(e.loss() == Approx(std::log(11.0)).epsilon(0.05));
    if (workers == 1) nats = e.nats;
    CHECK(e.nats == nats);
  }
}

namespace {

// The batch with its rows in another order, and with more padding of other tokens.
Batch reordered(const Batch& batch, const std::vector<Index>& order, Index more_padding) {
  Batch other;
  other.sequences = batch.sequences;
  other.tokens = batch.tokens + more_padding;
  for (const Index row : order) {
    const auto length = batch.lengths[row];
    const auto* begin = batch.inputs.data() + row * batch.tokens;
    other.inputs.insert(other.inputs.end(), begin, begin + length);
    other.inputs.insert(other.inputs.end(), static_cast<std::size_t>(other.tokens - length), 1);
    const auto* targets = batch.targets.data() + row * batch.tokens;
    other.targets.insert(other.targets.end(), targets, targets + length);
    other.targets.insert(other.targets.end(), static_cast<std::size_t>(other.tokens - length), -1);
    other.begins.push_back(batch.begins[row]);
    other.lengths.push_back(length);
  }
  return other;
}

void check_same(const Reading& a, const Reading& b, double tolerance) {
  REQUIRE(a.scalars.size() == b.scalars.size());
  REQUIRE(a.arrays.size() == b.arrays.size());
  for (const Reading::Scalar& s : a.scalars) {
    const auto twin = std::ranges::find_if(b.scalars, [&](const Reading::Scalar& t) {
      return t.layer == s.layer && t.head == s.head && t.tensor == s.tensor && t.key == s.key;
    });
    REQUIRE(twin != b.scalars.end());
    INFO(s.key << " of layer " << s.layer << ", head " << s.head);
    CHECK(std::isnan(twin->value) == std::isnan(s.value));
    if (!std::isnan(s.value)) CHECK(twin->value == Approx(s.value).epsilon(tolerance).margin(tolerance));
    CHECK(std::isnan(twin->error) == std::isnan(s.error));
    if (!std::isnan(s.error)) CHECK(twin->error == Approx(s.error).epsilon(1e-6).margin(1e-9));
  }
  for (std::size_t i = 0; i < a.arrays.size(); ++i) {
    CHECK(a.arrays[i].shape == b.arrays[i].shape);
    for (std::size_t j = 0; j < a.arrays[i].values.size(); ++j) {
      const float one = a.arrays[i].values[j], other = b.arrays[i].values[j];
      CHECK(std::isnan(other) == std::isnan(one));  // a place that no target is scored at
      if (!std::isnan(one)) CHECK(other == Approx(one).epsilon(1e-6).margin(1e-7));
    }
  }
}

}  // namespace

// Over all that are registered: a new probe is tried without being named.
TEST_CASE("a probe reads the text and nothing else", "[training]") {
  Config config = small();
  Split split;
  for (Index i = 0; i < 61; ++i) {
    if (i % 9 == 0 || i == 13 || i == 40) split.starts.push_back(i);
    split.ids.push_back(static_cast<std::int32_t>((i * i + 5 * i) % config.model.vocab));
  }
  const ValidationWindows windows(split, 0, config.model.context);
  Batch batch;
  windows.fill_spread(batch, windows.windows());
  REQUIRE(batch.sequences >= 5);
  REQUIRE(std::ranges::count(batch.lengths, batch.tokens) < batch.sequences - 1);  // there is padding
  std::vector<Index> same(batch.sequences);
  std::iota(same.begin(), same.end(), Index{0});
  std::vector<Index> backwards(same.rbegin(), same.rend());
  std::swap(backwards[0], backwards[2]);

  for (const std::string attention : {"softmax", "softcap"}) {
    config.model.attention = attention;
    Workers workers(2), one(1);
    Trainer trainer(config, workers), alone(config, one);
    for (const Probe& probe : all_probes()) {
      INFO(probe.name);
      const auto read = [&](Trainer& by, const Batch& from) {
        by.loss_and_gradients(random_batch(config, 3), 0);
        by.keep_values();
        return by.observe({probe}, from)[0];
      };
      const Reading reading = read(trainer, batch);
      CHECK((reading.scalars.empty() && reading.arrays.empty()) == !reading.missing.empty());
      CHECK(reading.windows == (probe.read_text ? batch.sequences : 0));
      check_same(reading, read(trainer, reordered(batch, same, 0)), 0);   // other padding
      check_same(reading, read(trainer, reordered(batch, same, 17)), 0);  // more padding
      check_same(reading, read(trainer, reordered(batch, backwards, 3)), 1e-9);
      if (probe.read_text) check_same(reading, read(alone, batch), 0);
      if (!probe.read_text) continue;
      // Each window by itself, without any padding, and together.
      std::vector<Reading> parts;
      for (Index row = 0; row < batch.sequences; ++row) {
        Batch single = reordered(batch, {row}, 0);
        single.sequences = 1;
        single.tokens = single.lengths[0];
        single.inputs.resize(single.tokens);
        parts.push_back(read(trainer, single));
        if (row > 0 && probe.name == "attn.map") parts.back().arrays.clear();  // of the first window
        if (probe.derive)
          std::erase_if(parts.back().scalars,
                        [](const auto& s) { return s.key == "entropy" || s.key == "later_half"; });
      }
      check_same(reading, together(probe, parts), 1e-12);
    }
  }
}

TEST_CASE("windows of one token are passed over by probes where there are longer ones", "[training]") {
  const Config config = small();
  Workers workers(1);
  Trainer trainer(config, workers);
  Batch batch = random_batch(config, 3);
  batch.lengths = {1, 12, 5};
  const std::vector<Probe> probes = probes_matching("attn.entropy");
  const Reading reading = trainer.observe(probes, batch)[0];
  CHECK(reading.windows == 2);
  for (const Reading::Scalar& s : reading.scalars) CHECK(std::isfinite(s.value));
  batch.lengths = {1, 1, 1};
  CHECK(trainer.observe(probes, batch)[0].windows == 3);
}

TEST_CASE("how many windows probes look at when a run is validated", "[training]") {
  Config config;
  config.batch = 6;
  config.eval_every = 250;
  config.steps = 2000;
  CHECK(probe_windows(config, 1000) == 60);
  CHECK(probe_windows(config, 7) == 7);
  config.eval_every = 0;  // at the end only
  CHECK(probe_windows(config, 1000) == 480);
  config.eval_every = 1;
  CHECK(probe_windows(config, 1000) == config.probe_sequences);
  config.probe_windows = "all";
  CHECK(probe_windows(config, 581) == 581);
  config.probe_windows = "9";
  CHECK(probe_windows(config, 581) == 9);
  for (const char* wrong : {"", "0", "-1", "many", "9.5"}) {
    config.probe_windows = wrong;
    check_throws([&] { check(config); }, {"--probe-windows", wrong, "a number of windows, all, or auto"});
  }
}

TEST_CASE("an empty batch is no mistake", "[training]") {
  Workers threads(2);
  Trainer trainer(small(), threads);
  Batch batch;
  batch.tokens = 12;
  CHECK(trainer.loss_and_gradients(batch, 0) == 0);
}

TEST_CASE("code is known by its sources, or by a version that was committed", "[training]") {
  CHECK(Code{"anything", sources()}.is_this());
  CHECK(!Code{version(), "0123456789ab"}.is_this());
  CHECK(!Code{"1a2b3c4-dirty", ""}.is_this());
  CHECK(Code{version(), ""}.is_this() == (std::string(version()).find("-dirty") == std::string::npos));
  CHECK(std::string(sources()).size() >= 8);
  CHECK(Code{"1a2b3c4", "0123"}.text() == "1a2b3c4 (sources 0123)");
}

TEST_CASE("configurations that make no sense are refused by name", "[training]") {
  const auto build = [](auto change) {
    return [change] {
      Config config = small();
      change(config);
      Workers threads(1);
      Trainer trainer(config, threads);
    };
  };
  check_throws(build([](Config& c) { c.model.heads = 3; }), {"channels", "16", "multiple of the 3 heads"});
  check_throws(build([](Config& c) { c.model.vocab = 1; }), {"vocabulary", "1", "at least 2"});
  check_throws(build([](Config& c) { c.model.layers = 0; }), {"layers", "0"});
  check_throws(build([](Config& c) { c.model.dropout = 1; }), {"dropout"});
  check_throws(build([](Config& c) { c.model.norm = "layre"; }),
               {"no norm called layre", "did you mean layer?"});
  check_throws(build([](Config& c) { c.model.activation = "gelu-tahn"; }), {"did you mean gelu-tanh?"});
  check_throws(build([](Config& c) { c.optimiser.rule = "adam"; }), {"no optimiser called adam"});
  check_throws(build([](Config& c) { c.options.set("beta1", 1); }), {"beta1"});
}

TEST_CASE("sampling: temperature, top-k and top-p by hand", "[sampling]") {
  // Probabilities 0.1, 0.2, 0.3, 0.4.
  std::vector<Real> logits;
  for (double p : {0.1, 0.2, 0.3, 0.4}) logits.push_back(Real(std::log(p)));
  // The likeliest come first on the unit interval: 3 below 0.4, then 2 to 0.7, 1 to 0.9, 0.
  CHECK(sample_token(logits, {1, 0, 1}, 0.0) == 3);
  CHECK(sample_token(logits, {1, 0, 1}, 0.39) == 3);
  CHECK(sample_token(logits, {1, 0, 1}, 0.41) == 2);
  CHECK(sample_token(logits, {1, 0, 1}, 0.89) == 1);
  CHECK(sample_token(logits, {1, 0, 1}, 0.999999) == 0);
  for (double u : {0.0, 0.5, 0.99}) CHECK(sample_token(logits, {0, 0, 1}, u) == 3);
  CHECK(sample_token(logits, {1, 2, 1}, 0.99) == 2);  // only 3 and 2: 4/7 and 3/7
  CHECK(sample_token(logits, {1, 2, 1}, 0.56) == 3);
  CHECK(sample_token(logits, {1, 0, 0.5}, 0.99) == 2);   // 0.4 is not yet half, 0.4 + 0.3 is
  CHECK(sample_token(logits, {1, 0, 1e-9}, 0.99) == 3);  // one token is always left
  // Temperature 1/2 squares the probabilities: 16/30 for token 3.
  CHECK(sample_token(logits, {0.5, 0, 1}, 0.53) == 3);
  CHECK(sample_token(logits, {0.5, 0, 1}, 0.54) == 2);
  check_throws([] { check(Sampling{-1, 0, 1}); }, {"temperature", "-1"});
  check_throws([] { check(Sampling{1, -1, 1}); }, {"top-k"});
  check_throws([] { check(Sampling{1, 0, 0}); }, {"top-p"});
}

TEST_CASE("what is written depends on the seed and on what stands before", "[sampling]") {
  const Config config = small();
  Workers threads(1);
  Trainer trainer(config, threads);
  const auto write = [&](std::uint64_t seed, std::vector<std::int32_t> ids, std::int32_t boundary) {
    generate(trainer.model(), trainer.tape(), ids, 40, {1, 0, 1}, seed, boundary, [](std::int32_t) {});
    return ids;
  };
  CHECK(write(1, {0}, -1) == write(1, {0}, -1));
  CHECK(write(1, {0}, -1) != write(2, {0}, -1));
  CHECK(write(1, {0}, 3).size() == 41);  // longer than the context of 12
  check_throws([&] { write(1, {}, -1); }, {"no token"});
}
