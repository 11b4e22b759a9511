// What probes read, once more in another language: numpy, from the same weights and the same text.
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/corpus.h"
#include "engine/matmul/blas.h"
#include "tests/helpers.h"
#include "tests/python.h"
#include "train/files/files.h"
#include "train/files/safetensors.h"
#include "train/trainer.h"

using namespace ef;

namespace {

nlohmann::json number(double x) { return std::isnan(x) ? nlohmann::json(nullptr) : nlohmann::json(x); }

// Trains it for some steps, reads all probes that numpy knows on six windows of stories, most of which end in
// padding, and compares.
void compare(Config config) {
  const std::string python = python_with("numpy");
  if (python.empty()) {
    WARN(
        "skipped: numpy is not installed (Debian: apt install python3-numpy), so there is nothing to compare "
        "with");
    return;
  }
  config.steps = 60;
  const Corpus corpus = builtin_corpus(1, 50'000, 4'000);
  config.model.vocab = corpus.tokenizer->vocab_size();
  const auto windows = Registry<TrainWindows>::make("random", corpus.train, corpus.first_input,
                                                    config.model.context, std::uint64_t{1}, OptionValues{});
  const ValidationWindows valid(corpus.valid, corpus.first_input, config.model.context);
  Workers threads(2);
  Trainer trainer(config, threads);
  Batch batch;
  for (Index done = 0; done < config.steps; ++done) {
    windows->fill(batch, static_cast<std::uint64_t>(done), config.batch);
    trainer.step(batch, done);
  }
  valid.fill_spread(batch, 6);
  REQUIRE(std::ranges::count(batch.lengths, batch.tokens) < 6);
  const auto probes = probes_matching(
      "attn.entropy,attn.logits,attn.profile,attn.rho,qk.spectrum,resid.rank,resid.cosine,resid.effective_"
      "rank");
  nlohmann::json readings = nlohmann::json::array();
  const std::vector<Reading> all = trainer.observe(probes, batch);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    for (const Reading::Scalar& s : all[i].scalars)
      readings.push_back({{"probe", probes[i].name},
                          {"layer", s.layer},
                          {"head", s.head},
                          {"key", s.key},
                          {"value", number(s.value)},
                          {"error", number(s.error)}});
  }

  const Parameters& parameters = trainer.parameters();
  const std::vector<Real> inputs(batch.inputs.begin(), batch.inputs.end());
  const std::vector<Real> lengths(batch.lengths.begin(), batch.lengths.end());
  std::vector<ArrayView> arrays = {{"inputs", {batch.sequences, batch.tokens}, inputs.data()},
                                   {"lengths", {batch.sequences}, lengths.data()}};
  for (const Parameter& p : parameters.list()) {
    arrays.push_back({p.path,
                      {p.shape.dims.begin(), p.shape.dims.begin() + p.shape.rank},
                      parameters.values() + p.offset});
  }
  const auto folder = std::filesystem::temp_directory_path() / ("eigenformer-numpy-" + config.preset);
  std::filesystem::create_directory(folder);
  const std::string file = folder / "weights.safetensors", answers = folder / "readings.json";
  write_safetensors(file, arrays, {{"settings", to_json(config)}});
  write_atomically(answers, readings.dump());
  // float32 here, double there: logits of size 10 leave six digits.
  const int status =
      std::system((python + " tests/models/numpy_probes.py " + file + " " + answers + " 5e-6").c_str());
  std::filesystem::remove_all(folder);
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace

TEST_CASE("probes read what numpy reads: the built-in language, whose windows end in padding", "[numpy]") {
  Config config;
  apply_preset(config, "story");
  config.schedule.warmup = 10;
  compare(config);
}

TEST_CASE("probes read what numpy reads: fairseq's architecture", "[numpy]") {
  Config config;
  apply_preset(config, "paper");
  config.model.context = 250;
  config.model.layers = 2;
  config.model.heads = 2;
  config.batch = 6;
  config.schedule.peak = 4e-3;
  config.schedule.warmup = 20;
  compare(config);
}
