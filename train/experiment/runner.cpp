// Running a sweep: each run is a child process of train, then of eval, in a folder of its own.
//
// Nothing is kept but what is on the disk, so a sweep may end at any instant and be started again: a result
// file means that the run is done, a checkpoint in its folder that it goes on from there, or, where that
// says so, that training is done. A folder without a checkpoint is begun anew. Each run's folder has a
// lock that its child inherits: as long as that lives, whoever started it, nobody else touches the folder.
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "data/source.h"
#include "engine/error.h"
#include "engine/matmul/tiles.h"
#include "train/experiment/job.h"
#include "train/experiment/result.h"
#include "train/experiment/runner.h"
#include "train/experiment/table.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/files/machine.h"
#include "train/files/safetensors.h"
#include "train/files/stop.h"
#include "train/live.h"
#include "train/run.h"
#include "train/text/text.h"

namespace ef {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

Index whole_number_after(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before);
  return at == std::string::npos ? -1 : std::atoll(text.c_str() + at + before.size());
}

// Why a run of these options cannot be made on this machine; empty if it can.
std::string obstacle(const Config& config) {
  if (config.precision != "float32" && !tiles::unavailable().empty())
    return "--precision " + config.precision + " needs AMX or AVX512-BF16: " + tiles::unavailable();
  return data_source(config.data, config.options)->missing(config.data);
}

// Whether its training came to an end, which its last checkpoint says.
bool trained(const Job& job) {
  const std::string checkpoint = RunFolder{job.run}.last();
  return fs::exists(checkpoint) && read_state(checkpoint).finished;
}

class Sweep {
 public:
  Sweep(const std::vector<Plan>& plans, const SweepOptions& options) : options_(options), table_(jobs_) {
    slots_ = options.jobs > 0 ? options.jobs : usable_processors();
    for (const Plan& plan : plans) add(plan);
    leave_out();
    for (const Plan& plan : plans) check_test_text(plan);
  }

  // Children that still run when something goes wrong are told to stop, and waited for.
  ~Sweep() {
    for (const Job& job : jobs_) {
      if (job.running()) ::kill(job.child, SIGTERM);
    }
    for (const Job& job : jobs_) {
      if (job.running()) ::waitpid(job.child, nullptr, 0);
    }
  }
  Sweep(const Sweep&) = delete;
  Sweep& operator=(const Sweep&) = delete;

  bool go() {
    if (unfinished() > 0) {
      const auto there =
          std::count_if(jobs_.begin(), jobs_.end(), [](const Job& j) { return j.has_result(); });
      table_.print(std::to_string(jobs_.size()) + " runs, " + std::to_string(there) +
                   " of them have a result; " + std::to_string(slots_) + " at once");
    }
    bool stopping = false;
    while (true) {
      if (stop_asked() && !stopping) {
        stopping = true;
        table_.print("stopping: the runs write a checkpoint ...");
        for (const Job& job : jobs_) {
          if (job.running()) ::kill(job.child, SIGTERM);
        }
      }
      for (Job& job : jobs_) {
        if (job.running()) look_after(job, stopping);
      }
      const auto running =
          std::count_if(jobs_.begin(), jobs_.end(), [](const Job& j) { return j.running(); });
      if (stopping && running == 0) return unfinished() == 0;
      if (!stopping) start_next(running);
      if (unfinished() == 0) return true;
      table_.update(std::to_string(jobs_.size() - unfinished()) + " of " + std::to_string(jobs_.size()) +
                    " runs" + time_left());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

 private:
  // Seeds outside, arms inside: pairs are complete early.
  void add(const Plan& plan) {
    std::map<std::pair<std::string, std::uint64_t>, RunResult> there;
    for (RunResult& result : load_results(plan, options_.results))
      there.emplace(std::pair(result.arm, result.seed), std::move(result));
    const std::string results = results_folder(plan, options_.results);
    for (const std::uint64_t seed : plan.seeds) {
      for (const Arm& arm : plan.arms) {
        Job job(plan, arm, seed);
        job.result = results + "/" + result_name(arm.name, seed) + ".json";
        job.run = options_.runs + "/" + plan.name + "/" + result_name(arm.name, seed);
        const auto found = there.find({arm.name, seed});
        if (found == there.end()) {
          check_begun(job);
        } else {
          check_code({found->second.version, found->second.sources}, job.result);
          if (!found->second.failed()) check_measures(plan, found->second);
          settle(job, found->second);
        }
        jobs_.push_back(std::move(job));
      }
    }
    if (there.size() == plan.seeds.size() * plan.arms.size()) return;
    make_folder(results);
    make_folder(options_.runs + "/" + plan.name);
  }

  static void settle(Job& job, const RunResult& result) {
    job.state = result.failed() ? Job::State::failed : Job::State::finished;
    const std::string& measure = job.plan->measures.front();
    job.figure = measure.starts_with("test.") ? std::nan("") : result.figure(measure);  // not to be seen yet
  }

  // Runs of plans that wait, and those that cannot be made here. Says for each reason which they are.
  void leave_out() {
    std::map<std::string, std::map<std::string, std::size_t>> counts;  // reason -> plan -> runs
    for (Job& job : jobs_) {
      if (job.over()) continue;
      const std::string reason = !job.plan->waits.empty() ? job.plan->waits
                                 : options_.possible      ? obstacle(job.config())
                                                          : "";
      if (reason.empty()) continue;
      job.state = Job::State::left_out;
      ++counts[reason][job.plan->name];
    }
    for (const auto& [reason, plans] : counts) {
      std::string line;
      for (const auto& [plan, count] : plans)
        line += (line.empty() ? "left out: " : ", ") + count_text(count, "run") + " of " + plan;
      table_.print(line + ", as " + reason);
    }
  }

  // A checkpoint that was made with other options is not gone on with, nor thrown away.
  void check_begun(const Job& job) const {
    if (!job.has_checkpoint()) return;
    const SavedConfig saved = load_config({job.run});
    check_same_options(options_of(saved.config), job.config(), job.run);
    check_code(saved.code, job.run);
  }

  // What other code made would stand in the tables as if it were of this one.
  void check_code(const Code& code, const std::string& path) const {
    if (options_.keep_old || code.is_this()) return;
    fail(path + ": made by other code", code.text(),
         "that of this program, " + Code{version(), sources()}.text(),
         "move it away to run it anew; --keep-old takes it as it is, --summary only shows it");
  }

  // A text to test on is asked for before the runs, not after them.
  void check_test_text(const Plan& plan) const {
    if (!plan.test || !plan.waits.empty() || unfinished() == 0) return;
    std::set<std::string> seen;
    for (const Arm& arm : plan.arms) {
      if (options_.possible && !obstacle(arm.config).empty()) continue;
      if (!seen.insert(data_name(arm.config)).second) continue;
      if (load_data(arm.config).test.ids.empty())
        fail(plan.path + ": test", "nothing to test on in --data " + arm.config.data,
             "a corpus with that part");
    }
  }

  std::size_t unfinished() const {
    return static_cast<std::size_t>(
        std::count_if(jobs_.begin(), jobs_.end(), [](const Job& job) { return !job.over(); }));
  }

  void start_next(std::ptrdiff_t running) {
    const bool looks = seconds_since(looked_) > 0.2;  // at what runs elsewhere
    if (looks) looked_ = Clock::now();
    for (Job& job : jobs_) {
      if (running >= slots_) return;
      if (job.state != Job::State::waiting && !(job.state == Job::State::elsewhere && looks)) continue;
      auto lock = std::make_unique<Lock>(job.run + ".lock");
      if (!lock->held()) {
        job.state = Job::State::elsewhere;
        continue;
      }
      if (fs::exists(job.result)) {  // made elsewhere since we looked
        settle(job, result_from_json(read_file(job.result), job.result));
        continue;
      }
      job.lock = std::move(lock);
      begin(job);
      ++running;
    }
  }

  void begin(Job& job) {
    check_begun(job);
    job.resumed_at = 0;
    if (job.has_checkpoint()) {
      if (trained(job)) return evaluate(job);
      job.resumed_at = read_state(job.file("checkpoint/last.safetensors")).done;
      job.state = Job::State::training;
      return start(job, "train", {"--resume", job.run});
    }
    fs::remove_all(job.run);
    const std::string config = job.run + ".config.json";
    write_atomically(config, to_json(job.config()));
    job.state = Job::State::training;
    start(job, "train", {"--config", config});
  }

  void start(Job& job, const std::string& program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), options_.programs + "/" + program);
    job.program = program;
    std::error_code error;
    const std::uintmax_t size = fs::file_size(job.output(), error);
    job.said_before = error ? 0 : size;
    job.started = Clock::now();
    job.child = start_process(arguments, job.output(), *job.lock);
  }

  // What is still to be evaluated; then the run is finished.
  void evaluate(Job& job) {
    job.state = Job::State::evaluating;
    const auto eval = [&](const char* split, bool wanted) {
      const std::string json = job.file((std::string("eval-") + split + ".json").c_str());
      if (!wanted || fs::exists(json)) return false;
      std::vector<std::string> arguments = {"--run", job.run, "--checkpoint", "best", "--workers", "1"};
      arguments.insert(arguments.end(), {"--split", split, "--json", json});
      if (!job.plan->context_evaluation) arguments.insert(arguments.end(), {"--context", "0"});
      start(job, "eval", arguments);
      return true;
    };
    if (eval("valid", job.plan->context_evaluation) || eval("test", job.plan->test)) return;
    finish(job, "");
  }

  static std::string said(const Job& job) { return last_words(job.output(), job.said_before, job.program); }

  void look_after(Job& job, bool stopping) {
    if (job.state == Job::State::training) job.read_progress();
    int status = 0;
    rusage usage{};
    const pid_t ended = ::wait4(job.child, &status, WNOHANG, &usage);
    if (ended == 0) return;
    job.child = -1;
    const bool trains = job.state == Job::State::training;
    const int exit = ended > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (exit == 3 && trains) return finish(job, said(job));
    // What a signal ended may have come to its end before.
    const bool told =
        exit < 0 && (WTERMSIG(status) == SIGINT || WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGHUP);
    if (trains ? (exit == 0 || told) && trained(job) : exit == 0) {
      if (trains) keep_times(job, usage);
      if (!stopping) return evaluate(job);
    } else if (!stopping) {
      const std::string hint = "the sweep has stopped; what it printed is in " + job.output();
      if (exit == 2) fail(job.label() + ": " + said(job), "", "", hint);
      if (exit == 0 || told) fail(job.label() + ": somebody stopped it", "", "", "the same command goes on");
      fail(job.label() + ": " + job.program + " ended unexpectedly",
           exit >= 0 ? "exit status " + std::to_string(exit)
                     : std::string("a signal: ") + strsignal(WTERMSIG(status)),
           "", hint);
    }
    if (exit > 0) table_.print(job.label() + ": " + said(job));  // it may have no checkpoint
    job.state = Job::State::waiting;
    job.lock.reset();
  }

  static void keep_times(const Job& job, const rusage& usage) {
    const nlohmann::ordered_json json = {{"cpu", seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime)},
                                         {"wall", seconds_since(job.started)},
                                         {"from", job.resumed_at}};
    write_atomically(job.file("seconds.json"), json.dump() + "\n");
  }

  void finish(Job& job, const std::string& failure) {
    RunResult result = collect_result(job.run, failure);
    result.plan = job.plan->name;
    result.arm = job.arm->name;
    result.seed = job.seed;
    if (result.version != version()) result.version += std::string(", ended by ") + version();
    if (result.sources != sources()) result.sources += std::string(", ended by ") + sources();
    // "step 17: NaN in ...": 16 updates were done.
    if (const Index step = whole_number_after(failure, "step "); step > 0) result.steps = step - 1;
    const Machine machine = this_machine();
    result.processor = machine.processor;
    result.compiler = machine.compiler;
    result.blas = machine.blas;
    result.kernel = machine.kernel;
    result.build = machine.build;
    result.cores = std::thread::hardware_concurrency();  // of the machine, whatever may be used of it
    result.cpu_seconds = result.wall_seconds = std::nan("");
    if (fs::exists(job.file("seconds.json"))) {
      const std::string path = job.file("seconds.json");
      const auto seconds = parse_json(read_file(path), path);
      if (seconds.is_object()) {
        result.cpu_seconds = number_at(seconds, "cpu", path);
        result.wall_seconds = number_at(seconds, "wall", path);
        result.timed_steps =
            result.steps - (seconds.contains("from") ? whole_number(seconds["from"], path + ": from") : 0);
      }
    }
    write_atomically(job.result, to_json(result));
    std::error_code ignored;  // weights are not kept; if they cannot be removed, nothing is lost
    fs::remove_all(job.file("checkpoint"), ignored);
    settle(job, result);
    job.lock.reset();
    if (std::isfinite(result.wall_seconds)) {
      finished_seconds_ += result.wall_seconds;
      finished_updates_ += static_cast<double>(result.timed_steps);
    }
    std::string line = job.label() + ": ";
    if (result.failed())
      line += "FAILED after " + std::to_string(result.steps) + " updates: " + failure;
    else if (std::isfinite(job.figure))
      line += job.plan->measures.front() + " " + figure_text(job.figure);
    else
      line += "finished";
    table_.print(line + "   (" + std::to_string(jobs_.size() - unfinished()) + " of " +
                 std::to_string(jobs_.size()) + time_left() + ")");
    if (!result.failed()) check_measures(*job.plan, result);
  }

  // What a probe reads without declaring it is known only now: it is told after the first run, not the last.
  static void check_measures(const Plan& plan, const RunResult& result) {
    std::vector<std::string> measures = plan.measures;
    for (const Prediction& p : plan.predictions) measures.push_back(p.measure);
    for (std::string measure : measures) {
      for (const char* suffix : {".best", ".min", ".max"})  // of readings that there are
        if (measure.ends_with(suffix)) measure.resize(measure.size() - std::strlen(suffix));
      if (result.figures.contains(measure)) continue;
      std::vector<std::string> read;  // by the same probe
      for (const auto& [name, value] : result.figures)
        if (name.starts_with(measure.substr(0, measure.rfind('.') + 1))) read.push_back(name);
      if (!read.empty() && measure.find('.') != measure.rfind('.'))
        fail(plan.path + ": no measure " + measure, "", "", suggestion(measure, read));
    }
  }

  // From the seconds an update took in runs that have ended, or else in those that run.
  std::string time_left() const {
    double left = 0, seconds = finished_seconds_, updates = finished_updates_;
    for (const Job& job : jobs_) {
      if (job.over()) continue;
      const Index done = job.running() ? job.done : 0;
      left += static_cast<double>(std::max<Index>(0, job.plan->updates - done));
      if (finished_updates_ > 0 || !job.running() || job.done <= job.resumed_at) continue;
      seconds += seconds_since(job.started);
      updates += static_cast<double>(job.done - job.resumed_at);
    }
    if (updates <= 0 || left <= 0) return "";
    const auto at_once =
        static_cast<double>(std::min<std::size_t>(static_cast<std::size_t>(slots_), unfinished()));
    return ", " + clock_time(seconds / updates * left / at_once) + " left";
  }

  const SweepOptions& options_;
  std::vector<Job> jobs_;
  SweepTable table_;
  Index slots_ = 1;
  Clock::time_point looked_{};
  double finished_seconds_ = 0, finished_updates_ = 0;  // of the runs that have ended in this sweep
};

}  // namespace

int run_sweep(const std::vector<Plan>& plans, const SweepOptions& options) {
  heed_stop_signals();
  return Sweep(plans, options).go() ? 0 : stop_signal();
}

}  // namespace ef
