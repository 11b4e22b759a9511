// Validations of a run: of a part of the text, interrupted, and made up for.
#include <atomic>

#include "tests/programs.h"
#include "train/config.h"
#include "train/files/files.h"
#include "train/run.h"
#include "train/session.h"

using namespace ef;

namespace {

Config quick(const Folder& folder, const std::string& name) {
  Config config;
  apply_preset(config, "story");
  config.model.layers = 1;
  config.model.heads = 2;
  config.model.channels = 16;
  config.model.ffn = 16;
  config.batch = 2;
  config.steps = 3;
  config.workers = 2;
  config.log_every = 1;
  config.eval_every = 2;
  config.sample_tokens = 0;
  config.probe = "attn.entropy";
  config.every = 1;
  config.runs = folder.path.string();
  config.name = name;
  return config;
}

}  // namespace

TEST_CASE("interrupted in a validation, a run makes up for it, and leaves the same lines", "[training]") {
  const Folder folder;
  const std::atomic<bool> calm = false, interrupted = true;
  REQUIRE(run_training(quick(folder, "whole"), "", calm).has_value());
  // Always interrupted: it ends after each step, and in each validation.
  const Config config = quick(folder, "parts");
  CHECK_FALSE(run_training(config, "", interrupted).has_value());
  const std::string parts = folder / "parts";
  for (int again = 0; again < 2; ++again) CHECK_FALSE(run_training(config, parts, interrupted).has_value());
  CHECK(read_state(RunFolder{parts}.last()).done >= 2);
  CHECK(read_state(RunFolder{parts}.last()).validated == 0);
  CHECK_FALSE(read_state(RunFolder{parts}.last()).finished);
  REQUIRE(run_training(config, parts, calm).has_value());
  const RunState state = read_state(RunFolder{parts}.last());
  CHECK(state.done == 3);
  CHECK(state.validated == 2);
  CHECK(state.finished);
  CHECK(read_file(parts + "/metrics.jsonl") == read_file(folder / "whole/metrics.jsonl"));
}

TEST_CASE("a run that scores a part says so, and scores all of it at the end", "[training]") {
  const Folder folder;
  const std::atomic<bool> calm = false;
  Config config = quick(folder, "part");
  config.eval_tokens = "5000";
  REQUIRE(run_training(config, "", calm).has_value());
  const std::string log = read_file(folder / "part/log.txt");
  CHECK(contains(log, "of 100,024 held-out tokens each time"));
  CHECK(contains(log, " +- "));
  CHECK(contains(log, "all held-out text, last weights"));
  CHECK(contains(log, "all held-out text, best weights"));
  const std::string metrics = read_file(folder / "part/metrics.jsonl");
  CHECK(contains(metrics, "\"split\":\"held-out\",\"checkpoint\":\"best\""));
  CHECK(contains(metrics, "\"tokens\":5"));
  // All at once is the default of a small text.
  CHECK_FALSE(contains(
      read_file((run_training(quick(folder, "all"), "", calm), folder / "all/metrics.jsonl")), "\"tokens\""));
}
