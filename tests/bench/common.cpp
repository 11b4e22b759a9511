#include "tests/bench/common.h"

#include <cblas.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/parameters.h"
#include "engine/random.h"
#include "engine/workers.h"

namespace ef::bench {

// ---- Time

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double Times::median() const {
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}
double Times::smallest() const { return *std::min_element(seconds.begin(), seconds.end()); }
double Times::largest() const { return *std::max_element(seconds.begin(), seconds.end()); }

Times time(double seconds, const std::function<void()>& call) {
  call();
  Times times;
  for (const double end = now() + seconds; times.seconds.size() < 3 || now() < end;) {
    const double start = now();
    call();
    times.seconds.push_back(now() - start);
  }
  return times;
}

double time_together(Index count, double seconds, const std::function<void(Index)>& call) {
  std::vector<double> medians(count);
  Workers workers(count);
  workers.run([&](Index worker) { medians[worker] = time(seconds, [&] { call(worker); }).median(); });
  return *std::max_element(medians.begin(), medians.end());
}

// ---- The machine

namespace {

// The rest of the first line of a file that begins with `key`, without ": " and quotes.
std::string line_of(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t begin = line.find_first_not_of(" \t:=\"", key.size());
    if (begin == std::string::npos) return "";
    return line.substr(begin, line.find_last_not_of(" \"") + 1 - begin);
  }
  return "unknown";
}

const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));

// Seconds that all processors together were not idle (time stolen by the host included).
double busy_seconds() {
  std::ifstream file("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
  file >> cpu >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
  return (user + nice + system + irq + soft + steal) / ticks;
}

double own_seconds() {
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  double total = 0;
  for (int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    total += seconds(usage.ru_utime) + seconds(usage.ru_stime);
  }
  return total;
}

double seconds_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::size_t name_end = text.rfind(')');  // a program's name may hold spaces
  if (name_end == std::string::npos) return 0;
  std::istringstream rest(text.substr(name_end + 1));
  std::string field;
  for (int i = 0; i < 11; ++i) rest >> field;  // up to the time in user mode
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / ticks;
}

}  // namespace

std::string machine() {
  utsname system{};
  uname(&system);
  char date[32];
  const std::time_t today = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::localtime(&today));
  const auto kib = [](int name) { return sysconf(name) / 1024; };
  const double gib =
      static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 0x1p30;
  return text("%s; %s, %u processors, L1d %ld KiB, L2 %ld KiB, L3 %ld KiB; %.0f GiB memory\n", date,
              line_of("/proc/cpuinfo", "model name").c_str(), std::thread::hardware_concurrency(),
              kib(_SC_LEVEL1_DCACHE_SIZE), kib(_SC_LEVEL2_CACHE_SIZE), kib(_SC_LEVEL3_CACHE_SIZE), gib) +
         text("%s, Linux %s, compiler %s, %s; version %s\n",
              line_of("/etc/os-release", "PRETTY_NAME").c_str(), system.release, __VERSION__,
              openblas_get_config(), version());
}

void wait_until_quiet() {
  if (std::getenv("EF_BENCH_BUSY")) return;
  for (int second = 0; second < 600; ++second) {
    const ForeignLoad load({});
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const double share = load.share();
    if (share < 0.03) return;
    if (second % 10 == 0)
      std::fprintf(stderr, "waiting: other programs use %.0f %% of a processor\n", 100 * share);
  }
  fail("machine", "other programs busy for ten minutes", "a quiet one, to measure on");
}

ForeignLoad::ForeignLoad(std::vector<pid_t> mine)
    : mine_(std::move(mine)), start_(now()), before_(foreign()) {}

double ForeignLoad::foreign() const {
  double mine = own_seconds();
  for (pid_t process : mine_) mine += seconds_of(process);
  return busy_seconds() - mine;
}

double ForeignLoad::share() const { return (foreign() - before_) / (now() - start_); }

std::size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return 1024 * static_cast<std::size_t>(usage.ru_maxrss);
}

// ---- Cases

std::vector<Case> cases() {
  const auto make = [](const char* name, const char* what, const char* preset, Index layers, Index heads,
                       Index channels, Index ffn, Index batch, Index tokens, Index vocab) {
    Case made{name, what, {}};
    Config& c = made.config;
    apply_preset(c, preset);
    c.model.layers = layers;
    c.model.heads = heads;
    c.model.channels = channels;
    c.model.ffn = ffn;
    c.model.context = tokens;
    c.model.vocab = vocab;
    c.model.dropout = 0;
    c.batch = batch;
    c.micro_batch = 0;
    c.clip = 0;
    c.optimiser = "adamw";
    c.decay = "all";
    c.schedule.name = "constant";
    c.schedule.peak = 1e-4;
    c.schedule.warmup = 0;
    return made;
  };
  return {make("A", "paper, 4 x 512", "paper", 1, 1, 128, 128, 4, 512, 33280),
          make("A'", "paper, 32 x 64", "paper", 1, 1, 128, 128, 32, 64, 33280),
          make("B", "nanoGPT's example for a CPU", "shakespeare", 4, 4, 128, 512, 12, 64, 65),
          make("C", "nanoGPT's small example for a GPU", "shakespeare", 6, 6, 384, 1536, 16, 256, 65),
          make("D", "GPT-2 small", "gpt2", 12, 12, 768, 3072, 4, 64, 50257)};
}

Config config_of(const std::string& name) {
  for (const Case& c : cases()) {
    if (c.name == name) return c.config;
  }
  fail("bench: case", name, "one of cases()");
}

Batch random_batch(const Config& config, std::uint64_t seed) {
  Batch batch;
  batch.sequences = config.batch;
  batch.tokens = config.model.context;
  batch.scored = batch.sequences * batch.tokens;
  const Random random{seed, stream_of(Purpose::data, 0), 0};
  const auto draw = [&](std::uint64_t i) {
    return static_cast<std::int32_t>(random.uniform(i) * static_cast<double>(config.model.vocab));
  };
  for (Index i = 0; i < batch.scored; ++i) {
    batch.inputs.push_back(draw(static_cast<std::uint64_t>(2 * i)));
    batch.targets.push_back(draw(static_cast<std::uint64_t>(2 * i + 1)));
  }
  return batch;
}

std::vector<Product> products(const Config& config, Index sequences) {
  const ModelConfig& m = config.model;
  const Index tokens = sequences * m.context, dim = m.channels / m.heads;
  const auto layers = static_cast<double>(m.layers);
  std::vector<Product> all;
  const auto linear = [&](const char* what, Index in, Index out, double count) {
    for (const Product& p : linear_products(what, tokens, in, out, count)) all.push_back(p);
  };
  linear("attention", m.channels, m.channels, 4 * layers);
  linear("feed-forward up", m.channels, m.ffn, layers);
  linear("feed-forward down", m.ffn, m.channels, layers);
  linear("head", m.channels, m.vocab, 1);
  const double half = layers * static_cast<double>(m.heads * sequences) / 2;
  all.push_back({"q k^T, do v^T", m.context, m.context, dim, false, true, 2 * half});
  all.push_back({"p v, ds k", m.context, dim, m.context, false, false, 2 * half});
  all.push_back({"p^T do, ds^T q", m.context, dim, m.context, true, false, 2 * half});
  return all;
}

std::vector<Product> linear_products(const char* what, Index tokens, Index in, Index out, double count) {
  const std::string name = what;
  return {{name + ": y = x w^T", tokens, out, in, false, true, count},
          {name + ": dx = dy w", tokens, in, out, false, false, count},
          {name + ": dw = dy^T x", out, in, tokens, true, false, count}};
}

double flops(const std::vector<Product>& products) {
  double total = 0;
  for (const Product& p : products) total += p.flops();
  return total;
}

double sgemm_seconds(const std::vector<Product>& products, Index workers) {
  double total = 0;
  for (const Product& p : products) {
    struct Operands {
      Buffer a, b, c;
    };
    std::vector<Operands> operands;
    for (Index worker = 0; worker < workers; ++worker)
      operands.push_back({Buffer(p.m * p.k), Buffer(p.k * p.n), Buffer(p.m * p.n)});
    const double seconds = time_together(workers, 0.15, [&](Index worker) {
      Operands& o = operands[worker];
      cblas_sgemm(CblasRowMajor, p.transpose_a ? CblasTrans : CblasNoTrans,
                  p.transpose_b ? CblasTrans : CblasNoTrans, static_cast<blasint>(p.m),
                  static_cast<blasint>(p.n), static_cast<blasint>(p.k), 1, o.a.data(),
                  static_cast<blasint>(p.transpose_a ? p.m : p.k), o.b.data(),
                  static_cast<blasint>(p.transpose_b ? p.k : p.n), 0, o.c.data(), static_cast<blasint>(p.n));
    });
    total += seconds * p.count;
  }
  return total;
}

// ---- Tables

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      const std::string space(widths[i] - rows[r][i].size(), ' ');
      out += i == 0 ? "| " + rows[r][i] + space : " | " + space + rows[r][i];
    }
    out += " |\n";
    if (r > 0) continue;
    for (std::size_t i = 0; i < widths.size(); ++i)
      out += "|" + std::string(widths[i] + (i > 0 ? 1 : 2), '-') + (i > 0 ? ":" : "");
    out += "|\n";
  }
  return out;
}

std::string text(const char* format, ...) {
  char buffer[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

}  // namespace ef::bench
