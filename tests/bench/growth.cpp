// How the time and the memory of a training step grow when one size grows and the others stay: make bench.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <thread>

#include "engine/matmul/blas.h"
#include "tests/bench/common.h"
#include "train/options/command_line.h"
#include "train/trainer.h"

namespace ef::bench {
namespace {

constexpr Index tokens_of_batch = 2048;

// One size, its settings, and how a configuration gets one.
struct Dial {
  const char* what;
  std::vector<Index> settings;
  std::function<void(Config&, Index)> set;
};

std::vector<Dial> dials() {
  std::vector<Index> workers = {1, 2};
  const auto processors = static_cast<Index>(std::thread::hardware_concurrency());
  for (Index count = 4; count <= processors; count *= 2) workers.push_back(count);
  return {{"T",
           {64, 128, 256, 512, 1024, 2048},
           [](Config& c, Index value) {
             c.model.context = value;
             c.batch = tokens_of_batch / value;
           }},
          {"C",
           {64, 128, 256, 512, 1024},
           [](Config& c, Index value) {
             c.model.channels = value;
             c.model.heads = value / 32;
             c.model.ffn = 4 * value;
           }},
          {"V", {64, 256, 1024, 4096, 16384, 65536}, [](Config& c, Index value) { c.model.vocab = value; }},
          {"layers", {1, 2, 4, 8}, [](Config& c, Index value) { c.model.layers = value; }},
          {"workers", workers, [](Config& c, Index value) { c.workers = value; }}};
}

Config default_config() {
  Config config = config_of("B");
  config.workers = 1;
  config.model.layers = 2;
  config.model.context = 128;
  config.model.vocab = 256;
  config.batch = tokens_of_batch / config.model.context;
  return config;
}

struct Point {
  double setting, seconds, bytes;
};

// The slope of log y over log x by least squares, from the point `first` on.
double exponent(const std::vector<Point>& points, std::size_t first, double Point::*y) {
  const auto n = static_cast<double>(points.size() - first);
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (std::size_t i = first; i < points.size(); ++i) {
    mean_x += std::log(points[i].setting) / n;
    mean_y += std::log(points[i].*y) / n;
  }
  for (std::size_t i = first; i < points.size(); ++i) {
    const double x = std::log(points[i].setting) - mean_x;
    xx += x * x;
    xy += x * (std::log(points[i].*y) - mean_y);
  }
  return xy / xx;
}

void turn(const Dial& dial) {
  std::vector<std::vector<std::string>> rows = {
      {dial.what, "at once", "ms", "tokens/s", "planned MB", "GFLOP/s"}};
  std::vector<Point> points;
  for (const Index setting : dial.settings) {
    Config config = default_config();
    dial.set(config, setting);
    const Batch batch = random_batch(config, 1);
    Workers workers(config.workers);
    Trainer trainer(config, workers);
    Index done = 0;
    const double seconds = time(1, [&] { trainer.step(batch, done++); }).median();
    const MemoryPlan plan = trainer.plan();
    const auto bytes = static_cast<double>(plan.total() - plan.other);
    points.push_back({static_cast<double>(setting), seconds, bytes});
    const Index at_once = automatic_micro_batch(config.model, trainer.parameters().count(),
                                                (config.batch + config.workers - 1) / config.workers);
    rows.push_back({std::to_string(setting), std::to_string(at_once), text("%.2f", 1e3 * seconds),
                    text("%.0f", static_cast<double>(batch.scored) / seconds), text("%.1f", 1e-6 * bytes),
                    text("%.0f", 1e-9 * flops(products(config, config.batch)) / seconds)});
  }
  const std::size_t last_three = points.size() - std::min<std::size_t>(3, points.size());
  std::printf("%s\nTime grows as %s^%.2f, over the last three as ^%.2f; memory as ^%.2f and ^%.2f.\n\n",
              table(rows).c_str(), dial.what, exponent(points, 0, &Point::seconds),
              exponent(points, last_three, &Point::seconds), exponent(points, 0, &Point::bytes),
              exponent(points, last_three, &Point::bytes));
  std::fflush(stdout);
}

void run() {
  blas::use_one_thread();
  const Config c = default_config();
  std::printf("## How time and memory grow\n\n%s\n", machine().c_str());
  std::printf(
      "One size at a time, the others stay: T = %td tokens a sequence, C = %td channels in heads of 32,\n"
      "feed-forward 4 C, V = %td, %td layers, %td worker. A batch always has %td tokens: fewer sequences\n"
      "where T is larger; a worker takes `at once` of them. Medians over a second, three steps at least;\n"
      "GFLOP/s by formula.\n\n",
      c.model.context, c.model.channels, c.model.vocab, c.model.layers, c.workers, tokens_of_batch);
  std::fflush(stdout);
  wait_until_quiet();
  for (const Dial& dial : dials()) turn(dial);
}

}  // namespace
}  // namespace ef::bench

int main() { return ef::run_program("bench", ef::bench::run); }
