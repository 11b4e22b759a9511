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
  std::string run_path, checkpoint = "best";
  Index count = 1;
  Writing writing{.tokens = 500, .sampling = {0.8, 0, 1}};
  FieldList options;
  options.group = "Model";
  options.add("run", run_path, "the folder of a run, like runs/story (needed)");
  options.add("checkpoint", checkpoint, "which weights", {"best", "last"});
  options.group = "Writing";
  options.add("prompt", writing.prompt, "what to go on from (default: the beginning of a document)");
  options.add("tokens", writing.tokens, "how many tokens to write");
  options.add("temperature", writing.sampling.temperature,
              "below 1 safer, above 1 wilder, 0 always the likeliest");
  options.add("top-k", writing.sampling.top_k, "only the k likeliest tokens (0: all)");
  options.add("top-p", writing.sampling.top_p,
              "only the likeliest tokens that together have this probability");
  options.add("seed", writing.seed, "another seed, another text");
  options.add("stop", writing.stop, "end where this has been written");
  options.add("count", count, "how many texts, with seeds one after the other");
  for (const auto& [name, text] :
       parse_command_line("sample", "Lets a trained model write.", options, argc, argv)) {
    options.set(name, text);
  }
  if (run_path.empty()) fail("--run", "nothing", "the folder of a run", "train makes one, like runs/story");
  check(writing.sampling);
  if (writing.tokens < 1) fail("--tokens", std::to_string(writing.tokens), "at least 1");
  if (count < 1) fail("--count", std::to_string(count), "at least 1");

  const LoadedModel loaded(run_path, checkpoint);
  Tape tape;
  PrintableStream shown;  // a text to learn from may hold what drives a terminal
  const auto show = [&](const std::string& text) {
    std::fputs(shown.add(text).c_str(), stdout);
    std::fflush(stdout);
  };
  const bool documents = data_source(loaded.saved.config.data, loaded.saved.config.options)->documents();
  Index written = 0;
  double seconds = 0;
  std::string why_anew;
  for (Index text = 0; text < count; ++text, ++writing.seed) {
    if (count > 1) std::printf("%s==== %lld\n", text > 0 ? "\n" : "", static_cast<long long>(text + 1));
    const Written one = write_text(loaded.model(), tape, *loaded.tokenizer, documents, writing, show);
    std::fputs((shown.end() + "\n").c_str(), stdout);
    written += one.count();
    seconds += one.seconds;
    why_anew = one.tokens.why_anew;
  }
  std::fflush(stdout);
  // Beside the text, so that it can be piped.
  std::fprintf(stderr, "%s tokens/s%s\n", grouped(static_cast<double>(written) / seconds).c_str(),
               why_anew.empty() ? "" : (" (each computed with all before it: " + why_anew + ")").c_str());
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("sample", [&] {
    ef::blas::use_one_thread();
    ef::blas::check_products();
    ef::sample(argc, argv);
  });
}
