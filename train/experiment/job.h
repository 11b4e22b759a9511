// One run of a sweep, and what of it is on the disk.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cmath>
#include <memory>

#include "train/experiment/plan.h"
#include "train/files/process.h"

namespace ef {

struct Job {
  enum class State { waiting, elsewhere, training, evaluating, finished, failed, left_out };

  const Plan* plan;
  const Arm* arm;
  std::uint64_t seed;
  std::string result, run;  // paths: the result file, the run's folder
  State state = State::waiting;
  double figure = std::nan("");  // the first measure, when finished

  // While it runs:
  std::unique_ptr<Lock> lock;
  pid_t child = -1;
  std::chrono::steady_clock::time_point started;
  std::string program;
  std::uintmax_t said_before = 0;  // bytes of its output that earlier processes wrote
  Index resumed_at = 0, done = 0;  // updates
  double loss = std::nan("");

  Job(const Plan& p, const Arm& a, std::uint64_t s) : plan(&p), arm(&a), seed(s) {}

  bool running() const { return child > 0; }
  bool over() const { return has_result() || state == State::left_out; }
  bool has_result() const { return state == State::finished || state == State::failed; }
  std::string label() const { return plan->name + ": " + arm->name + ", seed " + std::to_string(seed); }
  std::string file(const char* name) const { return run + "/" + name; }
  std::string output() const { return run + ".out"; }  // what its programs print
  Config config() const;
  // Whether it can go on from there.
  bool has_checkpoint() const;
  // Reads `done` and `loss` from what it has logged.
  void read_progress();
};

}  // namespace ef
