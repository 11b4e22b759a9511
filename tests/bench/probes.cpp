// What each probe costs, beside a training step of the same model: make bench.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "data/corpus.h"
#include "engine/blas.h"
#include "models/probes.h"
#include "train/command_line.h"
#include "train/trainer.h"

using namespace ef;

namespace {

// Median milliseconds of a call.
double milliseconds(int repeats, const std::function<void()>& call) {
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    call();
    times.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
  return times[static_cast<std::size_t>(repeats / 2)];
}

void bench() {
  blas::use_one_thread();
  Config config;
  apply_preset(config, "story");
  const Corpus corpus = builtin_corpus(1, 200'000, 20'000);
  config.model.vocab = corpus.tokenizer.vocab_size();
  Workers workers(std::max(1u, std::thread::hardware_concurrency()));
  Trainer trainer(config, workers);
  const auto windows =
      make_train_windows(config.windows, corpus.train, corpus.first_input, config.model.context, 1);
  const ValidationWindows valid(corpus.valid, corpus.first_input, config.model.context);
  Batch batch, watched;
  windows->fill(batch, 0, config.batch);
  valid.fill_spread(watched, config.probe_sequences);

  Index done = 0;
  const auto step = [&] { trainer.step(batch, done++); };
  milliseconds(20, step);
  const double step_ms = milliseconds(100, step);
  const auto observe = [&](const std::string& pattern) {
    const std::vector<Probe> probes = pattern.empty() ? std::vector<Probe>{} : probes_matching(pattern);
    return milliseconds(30, [&] {
      trainer.keep_values();
      trainer.observe(probes, watched);
    });
  };
  const double forward_ms = observe("");
  std::printf("preset story, %td workers, %td validation windows of %td tokens; medians\n", workers.count(),
              watched.sequences, watched.tokens);
  std::printf("a training step takes %.2f ms; reading every %td steps, shares are of %.0f ms\n\n", step_ms,
              config.every, step_ms * static_cast<double>(config.every));
  const auto line = [&](const char* what, double ms) {
    std::printf("%-24s %8.2f ms %8.2f %%\n", what, ms,
                100 * ms / (step_ms * static_cast<double>(config.every)));
  };
  line("forward, shared by all", forward_ms);
  for (const Probe& probe : probes_matching("*")) line(probe.name.c_str(), observe(probe.name) - forward_ms);
  line("all together", observe("*"));
}

}  // namespace

int main() { return run_program("bench", bench); }
