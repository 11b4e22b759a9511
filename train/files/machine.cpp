#include "train/files/machine.h"

#ifdef __linux__
#include <sched.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <thread>
#include <vector>

#include "engine/matmul/blas.h"
#include "train/files/build.h"

namespace ef {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(std::min(line.size(), line.find(':') + 2));
  }
  return "unknown";
}

// ---- Processors that may be used

// How many this process, or this thread, may run on.
Index allowed_by_affinity() {
#ifdef __linux__
  // The kernel refuses a mask that is smaller than its own.
  for (std::size_t most = 1024; most <= 1024 * 1024; most *= 4) {
    cpu_set_t* set = CPU_ALLOC(most);
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(most);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max<Index>(1, std::thread::hardware_concurrency());
}

constexpr double unlimited = std::numeric_limits<double>::infinity();

// Processors' worth of time, from microseconds in a period; what is no number, as "max", limits nothing.
double share_of_time(const std::string& quota, const std::string& period) {
  double used = 0, of = 0;
  std::istringstream(quota) >> used;
  std::istringstream(period) >> of;
  return used > 0 && of > 0 ? used / of : unlimited;
}

std::string first_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The quota of one group, by its folder: "cpu.max" of version 2 has "150000 100000" or "max 100000".
double quota_of(const std::filesystem::path& folder) {
  std::istringstream both(first_line(folder / "cpu.max"));
  std::string quota, period;
  both >> quota >> period;
  return std::min(share_of_time(quota, period), share_of_time(first_line(folder / "cpu.cfs_quota_us"),
                                                              first_line(folder / "cpu.cfs_period_us")));
}

// The least quota of the groups that this process is in, and of those around them. A container may see its
// own group as the root: a folder that is not there limits nothing.
double allowed_by_groups(const std::filesystem::path& root) {
  double least = unlimited;
  const std::filesystem::path mounted = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/a/b", or "4:cpu,cpuacct:/a/b" of version 1
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::vector<std::filesystem::path> trees;
    if (controllers.empty())
      trees = {mounted, mounted / "unified"};
    else if (("," + controllers + ",").find(",cpu,") != std::string::npos)
      trees = {mounted / controllers, mounted / "cpu"};
    for (const std::filesystem::path& tree : trees) {
      std::filesystem::path group = std::filesystem::path(line.substr(second + 1)).relative_path();
      for (;; group = group.parent_path()) {
        least = std::min(least, quota_of(tree / group));
        if (group.empty()) break;
      }
    }
  }
  return least;
}

}  // namespace

Index usable_processors(const std::string& root) {
  const Index processors = allowed_by_affinity();
  const double quota = std::ceil(allowed_by_groups(root));
  return quota < static_cast<double>(processors) ? std::max<Index>(1, static_cast<Index>(quota)) : processors;
}

double share_under_quota(Index threads, const std::string& root) {
  const auto at_once = static_cast<double>(std::min(threads, allowed_by_affinity()));
  return std::min(1.0, allowed_by_groups(root) / at_once);
}

Machine this_machine() {
  const blas::Library library = blas::library();
  return {processor_name(), library.version, library.kernel, compiler(), build_kind()};
}

std::string Machine::difference_from(const Machine& earlier) const {
  std::string text;
  const auto compare = [&](const char* what, const std::string& before, const std::string& now) {
    if (before.empty() || now.empty() || before == now) return;
    text += (text.empty() ? "" : "; ") + std::string(what) + " " + before + ", now " + now;
  };
  compare("processor", earlier.processor, processor);
  compare("BLAS", earlier.blas, blas);
  compare("kernel", earlier.kernel, kernel);
  compare("compiler", earlier.compiler, compiler);
  compare("build", earlier.build, build);
  return text;
}

std::string version_text(const std::string& program) {
  const Machine machine = this_machine();
  return program + " (eigenformer) " + version() + "\nsources " + sources() + "\n" + blas::library().text() +
         "\n" + machine.compiler + ", " + machine.build + " code\n";
}

}  // namespace ef
