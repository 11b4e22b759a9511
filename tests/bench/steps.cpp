// Whole training steps, beside PyTorch: make bench.
//
// For each case and number of workers a process of its own (so that its peak memory is its own) trains on one
// batch of random tokens, turn by turn with PyTorch, which starts from the same weights on the same batch.
// The losses of the first steps must agree, or nothing is reported. Matmuls in the precisions of tiles
// (engine/matmul/tiles.h) take their turns too, where the processor has them.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/matmul/tiles.h"
#include "tests/bench/common.h"
#include "train/files/safetensors.h"
#include "train/options/command_line.h"
#include "train/trainer.h"

namespace ef::bench {
namespace {

const std::string folder = "build/bench";  // below the current folder, where any python finds it

// A python3 that runs tests/bench/torch_steps.py.
class Torch {
 public:
  // settings: NAME=VALUE NAME=VALUE, the environment. Empty version() if there is no PyTorch.
  Torch(const std::string& python, const std::string& settings, const std::string& file) {
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0) fail("bench", "no pipe", "one");
    process_ = fork();
    if (process_ == 0) {
      dup2(to[0], 0);
      dup2(from[1], 1);
      for (int end : {to[0], to[1], from[0], from[1]}) close(end);
      const std::string command =
          "exec env " + settings + " " + python + " tests/bench/torch_steps.py 2>/dev/null";
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    close(to[0]);
    close(from[1]);
    to_ = fdopen(to[1], "w");
    from_ = fdopen(from[0], "r");
    std::istringstream answer(ask("load " + file));
    std::string ready;
    if (answer >> ready && ready == "ready") answer >> version_;
  }
  ~Torch() {
    std::fclose(to_);
    std::fclose(from_);
    waitpid(process_, nullptr, 0);
  }
  Torch(const Torch&) = delete;
  Torch& operator=(const Torch&) = delete;

  const std::string& version() const { return version_; }
  pid_t process() const { return process_; }

  double steps(int count, Times& times) {
    std::istringstream answer(ask("steps " + std::to_string(count)));
    double loss = NAN, ms = 0;
    answer >> loss;
    while (answer >> ms) times.seconds.push_back(1e-3 * ms);
    return loss;
  }
  double memory() { return std::atof(ask("memory").c_str()); }

 private:
  std::string ask(const std::string& line) {
    std::fprintf(to_, "%s\n", line.c_str());
    std::fflush(to_);
    char answer[1 << 16] = "";
    if (!std::fgets(answer, sizeof answer, from_)) return "";
    return answer;
  }
  pid_t process_ = 0;
  std::FILE *to_ = nullptr, *from_ = nullptr;
  std::string version_;
};

void write_for_torch(const std::string& file, Trainer& trainer, const Config& config, const Batch& batch) {
  const std::vector<Index> shape = {batch.sequences, batch.tokens};
  const std::vector<Real> inputs(batch.inputs.begin(), batch.inputs.end());
  const std::vector<Real> targets(batch.targets.begin(), batch.targets.end());
  std::vector<ArrayView> arrays = {{"batch.inputs", shape, inputs.data()},
                                   {"batch.targets", shape, targets.data()}};
  for (const Parameter& p : trainer.parameters().list()) {
    arrays.push_back({p.path,
                      {p.shape.dims.begin(), p.shape.dims.begin() + p.shape.rank},
                      trainer.parameters().values() + p.offset});
  }
  write_safetensors(file, arrays, {{"settings", to_json(config)}});
}

std::string ms(double seconds) { return text(seconds < 0.1 ? "%.1f" : "%.0f", 1e3 * seconds); }
std::string range(const Times& t) {
  return ms(t.median()) + " (" + ms(t.smallest()) + "-" + ms(t.largest()) + ")";
}
std::string megabytes(double bytes) { return text("%.0f", 1e-6 * bytes); }

using Row = std::vector<std::string>;

const std::vector<std::string> precisions = {"split3", "split2", "bf16"};

Row head() {
  return {"case",           "workers",         "ms (min-max)", "tokens/s",   "GFLOP/s",
          "share of sgemm", "peak MB",         "planned MB",   "PyTorch ms", "its MB",
          "ratio",          "tuned malloc ms", "ratio"};
}

Row head_of_tiles() {
  Row row = {"case", "workers"};
  for (const std::string& precision : precisions)
    row.insert(row.end(), {precision + " ms (min-max)", "GFLOP/s", "of PyTorch", "of tuned"});
  return row;
}

// The rows of one case in both tables, one after the other, measured in this process.
Row measure(const Case& chosen, Index worker_count, const std::string& python) {
  Config config = chosen.config;
  config.workers = worker_count;
  const Batch batch = random_batch(config, 1);
  Workers workers(worker_count);
  Trainer trainer(config, workers);
  const std::string file = folder + "/step.safetensors";
  std::filesystem::create_directories(folder);
  write_for_torch(file, trainer, config, batch);
  const std::string threads = "OMP_NUM_THREADS=" + std::to_string(worker_count);
  Torch plain(python, threads, file);
  // Large blocks are kept by malloc instead of being given back to the system after each use.
  Torch tuned(
      python,
      threads +
          " GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184",
      file);
  std::filesystem::remove(file);
  const bool has_torch = !plain.version().empty();

  Index done = 0;
  Times ours, torch, torch_tuned;
  std::vector<Times> on_tiles;
  const auto step = [&](int count, Times& times) {
    double loss = NAN;
    for (int i = 0; i < count; ++i) {
      const double start = now();
      const double this_loss = trainer.step(batch, done++).loss;
      times.seconds.push_back(now() - start);
      if (i == 0) loss = this_loss;
    }
    return loss;
  };
  for (int i = 0; i < 3; ++i) {
    const double mine = step(1, ours);
    if (!has_torch) continue;
    for (Torch* peer : {&plain, &tuned}) {
      Times unused;
      const double theirs = peer->steps(1, unused);
      if (!(std::fabs(mine - theirs) < 1e-3 * std::fabs(mine))) {
        fail("bench: loss of step " + std::to_string(i + 1) + " of case " + chosen.name, number_text(mine),
             "PyTorch's " + number_text(theirs));
      }
    }
  }
  const double estimate = ours.seconds.back();
  const int block = std::max(1, static_cast<int>(0.3 / estimate)), rounds = estimate > 0.5 ? 7 : 12;
  const auto planned = static_cast<double>(trainer.plan().total());
  const auto peak = static_cast<double>(peak_resident_bytes());  // in float32: tiles keep packed weights too
  const bool has_tiles = tiles::unavailable().empty();
  for (int attempt = 0;; ++attempt) {
    wait_until_quiet();
    ours = torch = torch_tuned = {};
    on_tiles.assign(has_tiles ? precisions.size() : 0, {});
    const ForeignLoad load({plain.process(), tuned.process()});
    for (int round = 0; round < rounds; ++round) {
      step(block, ours);
      for (std::size_t p = 0; p < on_tiles.size(); ++p) {
        blas::use_precision(precisions[p]);
        step(block, on_tiles[p]);
      }
      blas::use_precision("float32");
      if (!has_torch) continue;
      plain.steps(block, torch);
      tuned.steps(block, torch_tuned);
    }
    const double foreign = load.share();
    if (foreign < 0.04 || std::getenv("EF_BENCH_BUSY")) break;
    std::fprintf(stderr, "case %s: rejected, other programs used %.0f %% of a processor\n",
                 chosen.name.c_str(), 100 * foreign);
    if (attempt == 4) fail("bench", "other programs busy in five attempts", "a quiet machine");
  }

  const double median = ours.median();
  const Index share = (config.batch + worker_count - 1) / worker_count;
  const double work = flops(products(config, config.batch));
  Row row = {chosen.name,
             std::to_string(worker_count),
             range(ours),
             text("%.0f", static_cast<double>(batch.scored) / median),
             text("%.0f", 1e-9 * work / median),
             text("%.0f %%", 100 * sgemm_seconds(products(config, share), worker_count) / median),
             megabytes(peak),
             megabytes(planned)};
  const auto ratio = [&](const Times& mine, const Times& theirs) {
    return has_torch ? text("%.2f", mine.median() / theirs.median()) : "-";
  };
  if (has_torch) {
    row.insert(row.end(), {range(torch), megabytes(plain.memory()), ratio(ours, torch), range(torch_tuned),
                           ratio(ours, torch_tuned)});
  }
  row.resize(head().size(), "-");
  row.insert(row.end(), {chosen.name, std::to_string(worker_count)});
  for (const Times& times : on_tiles) {
    row.insert(row.end(), {range(times), text("%.0f", 1e-9 * work / times.median()), ratio(times, torch),
                           ratio(times, torch_tuned)});
  }
  row.resize(head().size() + head_of_tiles().size(), "-");
  return row;
}

// Runs measure() in a process of its own.
Row measured_aside(const Case& chosen, Index workers, const std::string& python) {
  int ends[2];
  if (pipe(ends) != 0) fail("bench", "no pipe", "one");
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const int status = run_program("bench", [&] {
      for (const std::string& cell : measure(chosen, workers, python)) dprintf(ends[1], "%s\n", cell.c_str());
    });
    std::_Exit(status);
  }
  close(ends[1]);
  std::FILE* from = fdopen(ends[0], "r");
  Row row;
  for (char line[256]; std::fgets(line, sizeof line, from);)
    row.emplace_back(line, std::string(line).size() - 1);
  std::fclose(from);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) std::exit(2);
  return row;
}

void run(int argc, char** argv) {
  blas::use_one_thread();
  std::signal(SIGPIPE, SIG_IGN);
  const std::string wanted = argc > 1 ? argv[1] : "", only = argc > 2 ? argv[2] : "";
  const char* chosen = std::getenv("PYTHON");
  const std::string python = chosen ? chosen : "python3";
  std::printf("## A training step, beside PyTorch\n\n%s", machine().c_str());
  {
    Config tiny;
    tiny.model.vocab = 2;
    tiny.model.context = 1;
    tiny.batch = 1;
    Workers one(1);
    Trainer trainer(tiny, one);
    std::filesystem::create_directories(folder);
    write_for_torch(folder + "/version.safetensors", trainer, tiny, random_batch(tiny, 1));
    const std::string version = Torch(python, "OMP_NUM_THREADS=1", folder + "/version.safetensors").version();
    std::printf(
        "float32; forward, backward and AdamW on random tokens, from the same weights on both sides; no "
        "dropout.\n"
        "GFLOP/s: 6 x tokens x in x out for each linear layer and the head, and 6 x T x T x D for each head "
        "and\n"
        "sequence (six products of T x T x D, of which half lies in the future), over the median. Share of "
        "sgemm:\n"
        "the time that cblas_sgemm alone takes for these products, each at its shape with warm caches, in as "
        "many\n"
        "threads, over the median. Planned MB: what is printed before training. Tuned malloc: PyTorch with\n"
        "GLIBC_TUNABLES that keep large blocks. Ratios are ours over PyTorch's: below 1 we are ahead.\n");
    std::printf("PyTorch %s\n\n", version.empty() ? "is not installed for this python3" : version.c_str());
  }
  std::fflush(stdout);
  std::vector<Row> rows = {head()}, tile_rows = {head_of_tiles()};
  for (const Case& c : cases()) {
    if (!wanted.empty() && wanted.find(c.name) == std::string::npos) continue;
    for (Index workers : {1, 2}) {
      if (!only.empty() && only != std::to_string(workers)) continue;
      const Row both = measured_aside(c, workers, python);
      const auto middle = both.begin() + std::ssize(head());
      rows.emplace_back(both.begin(), middle);
      tile_rows.emplace_back(middle, both.end());
      std::fprintf(stderr, "%s%s\n", table({head(), rows.back()}).c_str(),
                   table({head_of_tiles(), tile_rows.back()}).c_str());
    }
  }
  std::printf("Matmuls in float32, by OpenBLAS\n\n%s\n", table(rows).c_str());
  if (!tiles::unavailable().empty())
    std::printf("Nothing on tiles: %s\n\n", tiles::unavailable().c_str());
  else
    std::printf("Matmuls on tiles (GFLOP/s of float32-sized work)\n\n%s\n", table(tile_rows).c_str());
}

}  // namespace
}  // namespace ef::bench

int main(int argc, char** argv) {
  return ef::run_program("bench", [&] { ef::bench::run(argc, argv); });
}
