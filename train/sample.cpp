// sample: lets a trained model write.
#include <cstdio>

#include "data/source.h"
#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "train/files/files.h"
#include "train/options/command_line.h"
#include "train/run.h"
#include "train/text/text.h"
#include "train/write.h"

namespace ef {
namespace {

void sample(int argc, char** argv) {
  std::string run_path, prompt, checkpoint = "best";
  Index tokens = 500;
  std::uint64_t seed = 1;
  Sampling sampling{0.8, 0, 1};
  FieldList options;
  options.group = "Model";
  options.add("run", run_path, "the folder of a run, like runs/story (needed)");
  options.add("checkpoint", checkpoint, "which weights", {"best", "last"});
  options.group = "Writing";
  options.add("prompt", prompt, "what to go on from (default: the beginning of a document)");
  options.add("tokens", tokens, "how many tokens to write");
  options.add("temperature", sampling.temperature, "below 1 safer, above 1 wilder, 0 always the likeliest");
  options.add("top-k", sampling.top_k, "only the k likeliest tokens (0: all)");
  options.add("top-p", sampling.top_p, "only the likeliest tokens that together have this probability");
  options.add("seed", seed, "another seed, another text");
  for (const auto& [name, text] :
       parse_command_line("sample", "Lets a trained model write.", options, argc, argv)) {
    options.set(name, text);
  }
  if (run_path.empty()) fail("--run", "nothing", "the folder of a run", "train makes one, like runs/story");
  check(sampling);
  if (tokens < 1) fail("--tokens", std::to_string(tokens), "at least 1");

  const LoadedModel loaded(run_path, checkpoint);
  Tape tape;
  PrintableStream shown;  // a text to learn from may hold what drives a terminal
  const auto show = [&](const std::string& text) {
    std::fputs(shown.add(text).c_str(), stdout);
    std::fflush(stdout);
  };
  write_text(loaded.model(), tape, *loaded.tokenizer,
             data_source(loaded.saved.config.data, loaded.saved.config.options)->documents(), prompt, tokens,
             sampling, seed, show);
  std::fputs((shown.end() + "\n").c_str(), stdout);
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("sample", [&] {
    ef::blas::use_one_thread();
    ef::sample(argc, argv);
  });
}
