// What each probe costs, beside a training step of the same model: make bench.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <vector>

#include "data/corpus.h"
#include "engine/matmul/blas.h"
#include "models/probes/probes.h"
#include "train/options/command_line.h"
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
  return times[repeats / 2];
}

void bench() {
  blas::use_one_thread();
  Config config;
  apply_preset(config, "story");
  const Corpus corpus = builtin_corpus(1, 200'000, 20'000);
  config.model.vocab = corpus.tokenizer->vocab_size();
  Workers workers(std::max(1u, std::thread::hardware_concurrency()));
  Trainer trainer(config, workers);
  const auto windows = Registry<TrainWindows>::make(config.windows, corpus.train, corpus.first_input,
                                                    config.model.context, std::uint64_t{1}, OptionValues{});
  const ValidationWindows valid(corpus.valid, corpus.first_input, config.model.context);
  Batch batch, few, many;
  windows->fill(batch, 0, config.batch);
  valid.fill_spread(few, config.probe_sequences);
  valid.fill_spread(many, probe_windows(config, 1'000'000));

  Index done = 0;
  const auto step = [&] { trainer.step(batch, done++); };
  milliseconds(20, step);
  const double step_ms = milliseconds(100, step);
  const auto observe = [&](const std::string& pattern, const Batch& watched) {
    const std::vector<Probe> probes = pattern.empty() ? std::vector<Probe>{} : probes_matching(pattern);
    return milliseconds(20, [&] {
      trainer.keep_values();
      trainer.observe(probes, watched);
    });
  };
  std::printf("preset story, %td workers, %zu processors; a training step takes %.2f ms; medians\n",
              workers.count(), static_cast<std::size_t>(std::thread::hardware_concurrency()), step_ms);
  std::printf("%-24s %td windows every %td steps    %td windows every %td steps\n\n",
              "shares of the time:", few.sequences, config.every, many.sequences, config.eval_every);
  const double few_forward = observe("", few), many_forward = observe("", many);
  const auto line = [&](const char* what, double few_ms, double many_ms) {
    std::printf("%-24s %8.2f ms %8.2f %%         %8.1f ms %8.2f %%\n", what, few_ms,
                100 * few_ms / (step_ms * static_cast<double>(config.every)), many_ms,
                100 * many_ms / (step_ms * static_cast<double>(config.eval_every)));
  };
  line("forward, shared by all", few_forward, many_forward);
  for (const Probe& probe : probes_matching("*")) {
    // What weights say is not read again where windows are many.
    const double many_ms = probe.read_text ? observe(probe.name, many) - many_forward : 0;
    line(probe.name.c_str(), observe(probe.name, few) - few_forward, many_ms);
  }
  line("those of the preset", observe(config.probe, few), observe(config.probe, many));
  line("all together", observe("*", few), observe("*", many));
}

}  // namespace

int main() { return run_program("bench", bench); }
