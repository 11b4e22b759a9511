// The machine that a program runs on, as far as its results and its speed depend on it.
#pragma once
#include <string>

#include "engine/real.h"

namespace ef {

// What decides how sums are rounded, beside the sources and the number of workers. Empty: not known.
struct Machine {
  std::string processor;  // "Intel(R) Xeon(R) ..."
  std::string blas;       // "OpenBLAS 0.3.21"
  std::string kernel;     // the code that it chose for the processor: "SkylakeX"
  std::string compiler;   // "g++ 12.2.0"
  std::string build;      // see build_kind()

  // In words, "kernel Haswell, now SkylakeX; ...". What is not known of either is passed over; "" if nothing
  // differs.
  std::string difference_from(const Machine& earlier) const;
};
Machine this_machine();

// How many processors this process may use at once: those of its affinity, and not more than the quota of
// its control groups (cgroup v2 or v1: what containers are limited by), rounded up. At least 1. root: where
// /proc/self/cgroup and /sys/fs/cgroup are looked for.
Index usable_processors(const std::string& root = "/");
// The share of the time in which so many threads can run at once under that quota: 1 where it does not limit
// them. What a burst measures that is shorter than the quota's period, a tenth of a second, is to be
// multiplied by it.
double share_under_quota(Index threads, const std::string& root = "/");

// Its name, version and sources, what multiplies, and what compiled it, a line each: for --version.
std::string version_text(const std::string& program);

}  // namespace ef
