// The same training in PyTorch: from the same weights, on the same batches, the same losses.
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "data/corpus.h"
#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "tests/helpers.h"
#include "tests/python.h"
#include "train/files/safetensors.h"
#include "train/text/text.h"
#include "train/trainer.h"

using namespace ef;

namespace {

// tolerance: of the largest difference of losses over the 50 steps.
void compare(Config config, double tolerance = 1e-4) {
  const std::string python = python_with("torch");
  if (python.empty()) {
    WARN(
        "skipped: PyTorch is not installed (Debian: apt install python3-torch), so there is nothing to "
        "compare with");
    return;
  }
  config.model.dropout = 0;  // the masks of two generators cannot agree
  config.steps = 50;
  const Corpus corpus = builtin_corpus(1, 20'000, 1'000);
  config.model.vocab = corpus.tokenizer->vocab_size();
  const auto windows = Registry<TrainWindows>::make(config.windows, corpus.train, corpus.first_input,
                                                    config.model.context, std::uint64_t{1}, OptionValues{});
  blas::use_precision(config.precision);
  Workers threads(2);
  Trainer trainer(config, threads);
  const Parameters& parameters = trainer.parameters();
  const std::vector<Real> first(parameters.values(), parameters.values() + parameters.flat_size());

  std::vector<Real> inputs, targets, losses, rates;
  for (Index done = 0; done < config.steps; ++done) {
    const Batch batch = windows->batch(static_cast<std::uint64_t>(done), config.batch);
    for (std::int32_t id : batch.inputs) inputs.push_back(Real(id));
    for (std::int32_t id : batch.targets) targets.push_back(Real(id));
    const StepResult result = trainer.step(batch, done);
    losses.push_back(Real(result.loss));
    rates.push_back(Real(result.learning_rate));
  }
  const std::vector<Index> shape = {config.steps, config.batch, config.model.context};
  std::vector<ArrayView> arrays = {{"batches.inputs", shape, inputs.data()},
                                   {"batches.targets", shape, targets.data()},
                                   {"losses", {config.steps}, losses.data()},
                                   {"learning_rates", {config.steps}, rates.data()}};
  for (const Parameter& p : parameters.list()) {
    arrays.push_back(
        {p.path, {p.shape.dims.begin(), p.shape.dims.begin() + p.shape.rank}, first.data() + p.offset});
  }
  const auto file =
      std::filesystem::temp_directory_path() / ("eigenformer-parity-" + config.preset + ".safetensors");
  write_safetensors(file.string(), arrays, {{"settings", to_json(config)}});
  const int status = std::system(
      (python + " tests/models/torch_parity.py " + file.string() + " " + number_text(tolerance)).c_str());
  blas::use_precision("float32");
  std::filesystem::remove(file);
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace

TEST_CASE("50 steps as in PyTorch: GPT-2's architecture, AdamW, clipping, cosine", "[torch]") {
  Config config;
  apply_preset(config, "gpt2");
  config.schedule.warmup = 10;
  config.label_smoothing = 0.1;
  compare(config);
}

TEST_CASE("50 steps as in PyTorch: matmuls on tiles", "[torch]") {
  if (!tiles::unavailable().empty()) {
    WARN("skipped: " << tiles::unavailable());
    return;
  }
  for (const auto& [precision, tolerance] : {std::pair{"split3", 1e-4}, {"split2", 2e-3}}) {
    Config config;
    apply_preset(config, "gpt2");
    config.schedule.warmup = 10;
    config.label_smoothing = 0.1;
    config.precision = precision;
    compare(config, tolerance);
  }
}

TEST_CASE("50 steps as in PyTorch: fairseq's architecture and Adam", "[torch]") {
  Config config;
  apply_preset(config, "paper");
  config.windows = "random";
  config.model.context = 64;
  config.batch = 8;
  config.micro_batch = 2;
  config.schedule.warmup = 20;
  compare(config);
}
