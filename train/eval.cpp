// eval: how well a trained model predicts held-out text.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "train/files/files.h"
#include "train/files/machine.h"
#include "train/options/command_line.h"
#include "train/run.h"
#include "train/text/text.h"
#include "train/write.h"

namespace ef {
namespace {

void evaluate(int argc, char** argv) {
  std::string run_path, checkpoint = "best", split = "valid", json_path;
  Index context = -1, workers = 0;
  FieldList options;
  options.group = "Model";
  options.add("run", run_path, "the folder of a run, like runs/story (needed)");
  options.add("checkpoint", checkpoint, "which weights", {"best", "last"});
  options.group = "Text";
  options.add("split", split, "which part of the run's data", {"train", "valid", "test"});
  options.add("context", context,
              "tokens read but not scored before each stretch (-1: 400 of 512 of the window)");
  options.add("json", json_path, "a file to write the figures to as well");
  options.add("workers", workers, "threads (0: one for each processor that it may use)");
  const auto given = parse_command_line("eval", "Tells how well a trained model predicts held-out text.",
                                        options, argc, argv);
  for (const auto& [name, text] : given) options.set(name, text);
  if (run_path.empty()) fail("--run", "nothing", "the folder of a run", "train makes one, like runs/story");
  if (workers == 0) workers = usable_processors();

  const LoadedModel loaded(run_path, checkpoint);
  const Corpus corpus = load_data(loaded.saved.config);
  check_fingerprint(corpus, loaded.saved);
  const Split& text = split == "train" ? corpus.train : split == "valid" ? corpus.valid : corpus.test;
  if (context > 0 && !text.starts.empty())
    fail("--context", std::to_string(context), "0 for " + corpus.name,
         "its stories stand alone: there is nothing before them");
  if (text.ids.empty()) fail("--split " + split, "nothing in " + corpus.name, "a corpus with that part");

  const std::string& precision = loaded.saved.config.precision;
  if (precision == "float32" || tiles::unavailable().empty())
    blas::use_precision(precision);
  else
    std::printf("matmuls in float32: --precision %s of the run needs AMX or AVX512-BF16\n",
                precision.c_str());
  blas::check_products();
  Workers threads(workers);
  Trainer trainer(loaded.saved.config, threads);
  load_weights(loaded.path, trainer.parameters());
  const Index window = loaded.saved.config.model.context;
  const Index rows = std::max<Index>(1, 4096 / window);
  std::printf("%s of %s, %td tokens, weights of step %td\n", split.c_str(), printable(corpus.name).c_str(),
              text.size(), loaded.state.done);
  const ValidationWindows blocks(text, corpus.first_input, window);
  const Evaluation without = trainer.evaluate(blocks, rows);
  std::printf("without context  %s   (windows of %td, every token scored once)\n", describe(without).c_str(),
              window);
  nlohmann::ordered_json json;
  json["split"] = split;
  json["step"] = loaded.state.done;
  json["loss"] = without.loss();
  // JSON knows no infinity: a token that the training text lacks is left out of the figures altogether.
  if (const double unigram = unigram_nats(corpus.train, text); std::isfinite(unigram)) {
    std::printf("baseline         %s\n", describe_baseline(unigram).c_str());
    json["unigram_loss"] = unigram;
  }

  // fairseq's --context-window 400 of 512, in proportion.
  if (context < 0) context = window * 400 / 512;
  if (context > 0 && text.starts.empty()) {  // whole documents: nothing stands before them
    const ValidationWindows sliding(text, corpus.first_input, window, context);
    const Evaluation with = trainer.evaluate(sliding, rows);
    std::printf("with context     %s   (the same windows slide by %td, their first %td tokens not scored)\n",
                describe(with).c_str(), window - context, context);
    json["context"] = context;
    json["context_loss"] = with.loss();
  }
  if (!json_path.empty()) write_atomically(json_path, json.dump(2) + "\n");
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("eval", [&] {
    ef::blas::use_one_thread();
    ef::evaluate(argc, argv);
  });
}
