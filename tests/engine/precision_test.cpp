// Training with matmuls on tiles: near float32, to the bit repeatable, and the spectra are not touched.
#include <cmath>

#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "models/qk.h"
#include "tests/programs.h"
#include "train/trainer.h"

using namespace ef;

namespace {

// Sets the precision of all matmuls until the test ends.
struct InPrecision {
  explicit InPrecision(const std::string& name) { blas::use_precision(name); }
  ~InPrecision() { blas::use_precision("float32"); }
};

Config small() {
  Config config;
  apply_preset(config, "gpt2");
  config.model.vocab = 50;
  config.model.context = 40;
  config.model.layers = 2;
  config.model.channels = 64;
  config.model.ffn = 256;
  config.batch = 6;
  config.schedule.peak = 5e-3;
  config.schedule.warmup = 10;
  return config;
}

struct Trained {
  std::vector<double> losses;
  std::vector<Real> values, gradients;
  std::vector<std::complex<Real>> eigenvalues;  // of the first head of each layer
};

Trained train(const Config& config, const std::string& precision, Index workers, Index steps = 30) {
  const InPrecision chosen(precision);
  Workers threads(workers);
  Trainer trainer(config, threads);
  const Random random{5, stream_of(Purpose::test), 0};
  Batch batch;
  batch.sequences = config.batch;
  batch.tokens = config.model.context;
  batch.scored = batch.sequences * batch.tokens;
  Trained trained;
  for (Index done = 0; done < steps; ++done) {
    batch.inputs.clear();
    for (Index i = 0; i < batch.scored; ++i) {
      const auto at = static_cast<std::uint64_t>(done * batch.scored + i);
      batch.inputs.push_back(static_cast<std::int32_t>(random.below(at, 50)));
    }
    batch.targets = batch.inputs;  // to be learnt: the token that is read
    trained.losses.push_back(trainer.step(batch, done).loss);
  }
  const Index size = trainer.parameters().flat_size();
  trained.values.assign(trainer.parameters().values(), trainer.parameters().values() + size);
  trained.gradients.assign(trainer.gradients(), trainer.gradients() + size);
  for (const QKProduct& product : trainer.model().qk()) {
    if (product.head == 0)
      for (const auto& value : product.spectrum().eigenvalues) trained.eigenvalues.push_back(value);
  }
  return trained;
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}

}  // namespace

TEST_CASE("precision: a name that is none, and a machine without tiles, are told", "[precision]") {
  check_throws([] { blas::use_precision("split4"); }, {"no precision called split4", "split"});
  setenv("EIGENFORMER_NO_TILES", "1", 1);
  const Folder folder;
  const std::string rest =
      "--steps 2 --data " + folder.write("text", stories(3000)) + " --runs " + (folder / "runs") + tiny;
  const Outcome outcome = run("train --precision split2 " + rest);
  CHECK_FALSE(fs::exists(folder / "runs"));  // nothing was written
  const Outcome exact = run("train " + rest);
  unsetenv("EIGENFORMER_NO_TILES");
  CHECK(outcome.status == 2);
  CHECK(contains(outcome.text, "precision split2 needs AMX or AVX512-BF16: EIGENFORMER_NO_TILES=1"));
  CHECK(exact.status == 0);  // float32 asks for nothing
}

TEST_CASE("precision: losses follow those of float32, as closely as the products", "[precision]") {
  if (!tiles::unavailable().empty()) {
    WARN("skipped: " << tiles::unavailable());
    return;
  }
  const Trained exact = train(small(), "float32", 1);
  CHECK(exact.losses.back() < exact.losses.front() - 1);
  for (const auto& [name, tolerance] : {std::pair{"split3", 2e-5}, {"split2", 1e-3}, {"bf16", 0.1}}) {
    const Trained trained = train(small(), name, 1);
    const double difference = largest_difference(trained.losses, exact.losses);
    INFO(name << ": largest difference of losses over 30 steps " << difference);
    CHECK(difference < tolerance);
    CHECK(trained.losses != exact.losses);  // it was another arithmetic
  }
}

TEST_CASE("precision: the gradients of one step", "[precision]") {
  if (!tiles::unavailable().empty()) {
    WARN("skipped: " << tiles::unavailable());
    return;
  }
  const Trained exact = train(small(), "float32", 1, 1);
  Real largest = 0;
  for (Real g : exact.gradients) largest = std::max(largest, std::fabs(g));
  for (const auto& [name, tolerance] : {std::pair{"split3", 1e-5}, {"split2", 3e-4}, {"bf16", 3e-2}}) {
    const double error =
        distance(train(small(), name, 1, 1).gradients, exact.gradients) / static_cast<double>(largest);
    INFO(name << ": largest error of a gradient, of the largest gradient " << error);
    CHECK(error < tolerance);
  }
}

TEST_CASE("precision: value and gradient of a regulariser are those of float32, to the bit", "[precision]") {
  for (const char* measure : {"frobenius", "logit-variance", "trace", "variance"}) {
    Config config = small();
    config.model.regulariser = "locater";
    config.model.options.set("scale", measure);
    config.model.options.set("strength", 0.01);
    config.model.options.set("hold", 0.01);
    const auto term = [&](const std::string& precision) {  // the gradients, and the value behind them
      const InPrecision chosen(precision);
      Workers threads(1);
      Trainer trainer(config, threads);
      Tape& tape = trainer.tape();
      const Tape::Scope scope(tape);
      trainer.regulariser().prepare(trainer.model(), 0);
      const Tensor loss = trainer.regulariser().loss(trainer.model(), 0);
      tape.backward(loss);
      std::vector<Real> numbers(trainer.gradients(), trainer.gradients() + trainer.parameters().flat_size());
      numbers.push_back(loss.data[0]);
      return numbers;
    };
    const std::vector<Real> exact = term("float32");
    CHECK(*std::ranges::max_element(exact) > 0);
    for (const char* precision : {"split2", "bf16"}) {
      if (!tiles::unavailable().empty()) {
        WARN("skipped: " << precision << ": " << tiles::unavailable());
        continue;
      }
      INFO(measure << " " << precision);
      CHECK(term(precision) == exact);
    }
  }
}

TEST_CASE("precision: the same bits for the same number of workers", "[precision]") {
  if (!tiles::unavailable().empty()) {
    WARN("skipped: " << tiles::unavailable());
    return;
  }
  for (const char* name : {"split3", "split2", "bf16"}) {
    for (Index workers : {1, 2}) {
      CHECK(train(small(), name, workers, 5).values == train(small(), name, workers, 5).values);
    }
  }
}

TEST_CASE("precision: spectra of a split2 run are those of float32, to its precision", "[precision]") {
  if (!tiles::unavailable().empty()) {
    WARN("skipped: " << tiles::unavailable());
    return;
  }
  const Trained exact = train(small(), "float32", 1), split2 = train(small(), "split2", 1);
  REQUIRE(exact.eigenvalues.size() == split2.eigenvalues.size());
  Real worst = 0, radius = 0;
  for (const auto& value : exact.eigenvalues) {  // the nearest one: which place it takes is not continuous
    Real nearest = std::numeric_limits<Real>::infinity();
    for (const auto& other : split2.eigenvalues) nearest = std::min(nearest, std::abs(value - other));
    worst = std::max(worst, nearest);
    radius = std::max(radius, std::abs(value));
  }
  INFO("largest distance to the nearest eigenvalue " << worst << ", spectral radius " << radius);
  CHECK(worst < Real(1e-2) * radius);

  // The spectrum of given weights does not know of the precision at all.
  const Config config = small();
  Workers threads(1);
  Trainer trainer(config, threads);
  const auto before = trainer.model().qk()[0].spectrum().eigenvalues;
  const InPrecision chosen("bf16");
  CHECK(trainer.model().qk()[0].spectrum().eigenvalues == before);
}
