// train: trains a transformer and leaves a run's folder behind.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "train/explain.h"
#include "train/files/files.h"
#include "train/files/machine.h"
#include "train/files/stop.h"
#include "train/memory.h"
#include "train/options/command_line.h"
#include "train/report/report.h"
#include "train/run.h"
#include "train/session.h"
#include "train/watch.h"

namespace ef {
namespace {

// ---- Options

struct Start {
  Config config;
  std::string resume;   // the folder of a run to go on with, or empty
  std::string against;  // further options for a second run to compare with, or empty
  bool explains = false, profiles = false, shows_batch = false;  // instead of a run
};

Start read_options(int argc, char** argv) {
  Start start;
  apply_preset(start.config, start.config.preset);
  std::string preset_help = "settings to start from:";
  for (const Preset& preset : presets()) preset_help += "\n  " + preset.name + ": " + preset.what;
  std::string preset = start.config.preset, config_file;
  FieldList options;
  options.group = "Start";
  options.add("preset", preset, preset_help);
  for (const Preset& one : presets()) options.list.back().names.push_back(one.name);
  options.add("config", config_file,
              "a JSON file of options, such as a run's config.json (options given here win)");
  options.add("resume", start.resume,
              "go on with the run in this folder; of the other options only --steps may change");
  bool lists_probes = false, explains = false, profiles = false, shows_batch = false;
  options.add("against", start.against,
              "train once more with these options changed, and compare: \"--norm rms\"");
  options.add("list-probes", lists_probes, "name all probes, and end");
  options.add("show-batch", shows_batch, "print what the model is fed in the first step, and end");
  options.add("explain", explains,
              "print one step op by op, write its graph as SVG and DOT to --runs, and end");
  options.add("profile", profiles, "print where the time of steps goes, and end");
  const FieldList all = fields(start.config);
  options.list.insert(options.list.end(), all.list.begin(), all.list.end());
  for (Field& field : options.list)
    if (field.name == "probe")
      for (const Probe& probe : probes_matching("*")) field.names.push_back(probe.name);
  auto given = parse_command_line("train", "Trains a tiny transformer.", options, argc, argv);

  if (given.contains("resume")) {
    start.resume = given["resume"];
    start.config = load_config(open_run(start.resume)).config;
    given.erase("resume");
    for (const auto& [name, value] : given) {
      if (name != "steps")
        fail("--resume with --" + name, "", "at most --steps", "the other options are the run's own");
    }
  } else {
    if (given.contains("preset")) apply_preset(start.config, given["preset"]);
    if (given.contains("config")) {
      const std::string text = read_file(given["config"]);
      try {
        from_json(start.config, text, facts_in_config());
      } catch (const Error& error) {
        fail(given["config"] + ": " + error.what());
      }
    }
  }
  if (given.contains("list-probes")) {
    std::fputs(list_of_probes().c_str(), stdout);
    std::exit(0);
  }
  start.explains = given.contains("explain");
  start.profiles = given.contains("profile");
  start.shows_batch = given.contains("show-batch");
  if (given.contains("against")) start.against = given["against"];
  for (const char* name : {"preset", "config", "against", "explain", "profile", "show-batch"})
    given.erase(name);
  for (const auto& [name, text] : given) all.set(name, text);
  if (start.config.workers == 0) start.config.workers = usable_processors();
  Config checked = start.config;
  if (!start.resume.empty()) checked.name.clear();  // the folder is there, whatever older versions allowed
  check(checked);
  check_memory(start.config, Use::training);
  return start;
}

// The configuration with further options, given as a line of text.
Config changed(Config config, const std::string& line) {
  const FieldList all = fields(config);
  const auto given = parse_line("--against", all, line);
  for (const auto& [name, text] : given) all.set(name, text);
  check(config);
  check_memory(config, Use::training);
  return config;
}

// What is said of a step, without a run. Returns whether that was asked for.
bool look_inside(const Start& start) {
  if (start.shows_batch) std::fputs(show_batch(start.config).c_str(), stdout);
  if (start.profiles) std::fputs(profile_steps(start.config).c_str(), stdout);
  if (start.explains) {
    const Explanation e = explain_step(start.config);
    const std::string base =
        start.config.runs + "/" + (start.config.name.empty() ? start.config.preset : start.config.name);
    make_folder(start.config.runs);
    write_atomically(base + ".step.svg", standalone_svg(e.figure));
    write_atomically(base + ".step.dot", e.dot);
    std::printf("%s\ngraph    %s.step.svg   %s.step.dot\n", e.text.c_str(), base.c_str(), base.c_str());
  }
  return start.shows_batch || start.profiles || start.explains;
}

// A run's page, as it trains: at validations, but not so often that it would cost more than a hundredth of
// the time. Whatever ends the run, the page is written once more.
class LivePage {
 public:
  void operator()(const std::string& folder, bool ended) {
    if (ended) return write_report(folder);
    if (Clock::now() < next_) return;
    const auto start = Clock::now();
    constexpr std::chrono::seconds least(20);
    try {
      write_report(folder, static_cast<int>(least.count()));
    } catch (const Error&) {  // no reason to end a run: the last page will say why, if it still is so
    }
    next_ = Clock::now() + std::max<Clock::duration>(least, 100 * (Clock::now() - start));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point next_{};  // the first validation is shown at once
};

// The run, and the one that it is compared with, which starts from the same seed.
void train(const Start& start) {
  Config other = start.config;
  if (!start.against.empty())
    other = changed(other, start.against);  // before the first run: mistakes are told
  const std::optional<std::string> first = run_training(start.config, start.resume, stop_asked(), LivePage());
  if (!first || start.against.empty()) return;
  const std::filesystem::path folder(*first);
  other.name = folder.filename().string() + "-against";
  other.runs = folder.parent_path().string();
  std::printf("\n==== the same with %s\n\n", start.against.c_str());
  const std::optional<std::string> second = run_training(other, "", stop_asked(), LivePage());
  if (!second) return;
  std::printf("\n%s\n", comparison({*first, *second}).c_str());
}

}  // namespace
}  // namespace ef

int main(int argc, char** argv) {
  return ef::run_program("train", [&] {
    ef::blas::use_one_thread();
    ef::heed_stop_signals();
    const ef::Start start = ef::read_options(argc, argv);
    if (!ef::look_inside(start)) ef::train(start);
    ef::end_if_stopped();
  });
}
