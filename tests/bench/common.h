// What the benchmarks share: a quiet machine, times, the cases, and tables in Markdown.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "data/batches.h"
#include "train/config.h"

namespace ef::bench {

// ---- Time

double now();  // seconds of a clock that never goes back

struct Times {
  std::vector<double> seconds;
  double median() const;
  double smallest() const;
  double largest() const;
};

// Calls once to warm up, then as often as fits into `seconds`, three times at least.
Times time(double seconds, const std::function<void()>& call);

// The median time of `call` where `count` threads do it at the same time, each on its own number.
double time_together(Index count, double seconds, const std::function<void(Index)>& call);

// ---- The machine

// Processor, caches, memory, operating system, compiler, BLAS: lines of Markdown.
std::string machine();

// Waits until the other programs of this machine use less than 3 % of one processor over a second; exits with
// a message after ten minutes. Does not wait where the environment has EF_BENCH_BUSY: to try a benchmark on a
// busy machine.
void wait_until_quiet();

// Processor seconds that others than `mine` (process ids, and this process) use, from construction on.
class ForeignLoad {
 public:
  explicit ForeignLoad(std::vector<pid_t> mine);
  // As a share of the time that has passed: 1 is one processor kept busy by others.
  double share() const;

 private:
  double foreign() const;
  std::vector<pid_t> mine_;
  double start_, before_;
};

std::size_t peak_resident_bytes();

// ---- Cases

struct Case {
  std::string name, what;
  Config config;
};
// A to D: what the tables of tests/bench/RESULTS.md are about. Dropout, clipping and schedule are off.
std::vector<Case> cases();
Config config_of(const std::string& name);  // of the case of that name

// Tokens and targets drawn evenly.
Batch random_batch(const Config& config, std::uint64_t seed);

// One product of a training step, and how often it stands there.
struct Product {
  std::string what;
  Index m, n, k;
  bool transpose_a, transpose_b;
  double count;  // attention's products count half, as half of the pattern is in the future
  double flops() const { return 2.0 * static_cast<double>(m * n) * static_cast<double>(k) * count; }
};
// Of a step in which one worker has `sequences` sequences: per linear layer x [tokens, in], w [out, in] three
// products (y = x w^T, dx = dy w, dw = dy^T x), per head and sequence six of T x T x D.
std::vector<Product> products(const Config& config, Index sequences);
// The three of a linear layer.
std::vector<Product> linear_products(const char* what, Index tokens, Index in, Index out, double count);

double flops(const std::vector<Product>& products);

// Seconds that cblas_sgemm alone takes for one pass over these products, each measured on its own with warm
// caches, by `workers` threads at the same time.
double sgemm_seconds(const std::vector<Product>& products, Index workers);

// ---- Tables

// Rows of cells, padded to equal widths; the first row is the head.
std::string table(const std::vector<std::vector<std::string>>& rows);
// printf into a string.
[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...);

}  // namespace ef::bench
