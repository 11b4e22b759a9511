// localize: where attention looks, by theory and by simulation.
#include <cstdio>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "train/config.h"
#include "train/files/files.h"
#include "train/files/machine.h"
#include "train/localize/job.h"
#include "train/localize/results.h"
#include "train/options/command_line.h"

namespace ef {
namespace {

void localize(int argc, char** argv) {
  LocalizeCase one;
  LocalizeOptions settings;
  Index workers = 0;
  std::string out = "runs/localize";
  FieldList options;
  options.group = "One head (without any of these: all tables and diagrams)";
  options.add("matrix", one.matrix, "how the query-key matrix W is built", matrix_kinds());
  options.add("channels", one.channels, "d, the width of a token");
  options.add("head-dim", one.head_dim, "k, the rank of W (0: as channels)");
  options.add("trace", one.trace, "tr W, the sum of the eigenvalues");
  options.add("trace-square", one.trace_square, "tr W^2, the sum of their squares");
  options.add("frobenius-square", one.frobenius_square, "||W||_F^2 (0: as tr W^2)");
  options.add("lambda", one.lambda, "logits are divided by it (0: the root of head-dim)");
  options.add("tokens-model", one.tokens_model, "a random walk, as it is or x_t / sqrt(t)",
              {"walk", "normalised"});
  options.add("tokens", one.tokens, "T, how many tokens the query sees");
  options.group = "Simulation";
  options.add("draws", settings.draws, "random walks");
  options.add("seed", settings.seed, "another seed, other walks and matrices");
  options.add("workers", workers,
              "threads (0: one for each processor that it may use); the numbers do not depend on it");
  options.add("out", out, "the folder of the results");
  const auto given = parse_command_line(
      "localize", "Tells where attention looks, by theory and by simulation.", options, argc, argv);
  bool all = true;
  for (const auto& [name, text] : given) {
    options.set(name, text);
    if (name != "draws" && name != "seed" && name != "workers" && name != "out") all = false;
  }
  if (one.lambda < 0) fail("--lambda", number_text(one.lambda), "a positive number, or 0 for the default");
  if (out.empty()) fail("--out", "nothing", "a folder");
  if (workers == 0) workers = usable_processors();

  Workers threads(workers);
  std::printf("eigenformer %s, localize, seed %llu\n\n", version(),
              static_cast<unsigned long long>(settings.seed));
  if (all) make_folder(out);  // or its fault would show only after all the work
  const std::string json = all ? localize_all(settings, threads) : localize_case(one, settings, threads);
  std::fputs(localize_text(json).c_str(), stdout);
  write_localize(out, json);
  std::printf("report   %s/report.html\n", out.c_str());
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("localize", [&] {
    ef::blas::use_one_thread();
    ef::blas::check_products();
    ef::localize(argc, argv);
  });
}
