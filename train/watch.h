// Watching a run: reads the chosen probes, writes what they say, rings the alarms.
//
// Every so many updates they look at a few windows of the validation text, for curves; at each validation at
// many, for the numbers that are told. Both times the windows are spread over the whole text and are the same
// ones from reading to reading.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/probes/alarms.h"
#include "models/probes/probes.h"
#include "train/files/files.h"
#include "train/live.h"
#include "train/run.h"
#include "train/trainer.h"

namespace ef {

// Scalars go to metrics.jsonl with step, split, probe, layer, head, the number of windows and standard errors
// over these ("nats.se"); arrays to probes/NAME.KEY.STEP.npy, where those of many windows replace those of
// few.
class Watch {
 public:
  Watch(const Config& config, const RunFolder& run, const ValidationWindows& windows, LineLog& metrics,
        Live& live);

  // Whether probes are read after the update that makes `done` updates.
  bool due(Index done) const { return !probes_.empty() && done % every_ == 0; }
  void read(Trainer& trainer, Index done) { read(trainer, done, probes_, few_); }
  void rehearse(Trainer& trainer) const;  // reads and forgets, to touch the memory that this takes
  // Hears of a validation, and reads probes from many windows.
  void validated(Trainer& trainer, Index done, const Evaluation& evaluation);
  // "2 of 417 windows of held-out text every 50 updates, 15 at each validation"; "" without probes.
  std::string describe() const;
  // What the live line tells of the last readings: "  entropy 0.915  tr 0.214".
  std::string note() const;

 private:
  void read(Trainer& trainer, Index done, const std::vector<Probe>& probes, const Batch& windows);
  void report(Index done, const std::vector<AlarmEvent>& events);

  const RunFolder& run_;
  std::vector<Probe> probes_;
  Index every_;
  Batch few_, many_;                                              // windows
  Index all_;                                                     // how many there are
  std::map<std::pair<std::string, std::string>, double> latest_;  // of (probe, key), over layers and heads
  std::set<std::string> told_;  // what probes are missing, or do not declare
  LineLog& metrics_;
  Live& live_;
  Alarms alarms_;
};

// The whole lines of metrics.jsonl; none if there is no such file.
std::vector<Record> read_metrics(const std::string& path);

// Of the records of one probe at one step: those that rest on the most windows, and those that rest on the
// fewest. At a validation a probe has been read from many windows, for numbers, and perhaps from few, for
// curves.
std::vector<Record> of_most_windows(const std::vector<Record>& records);
std::vector<Record> of_fewest_windows(const std::vector<Record>& records);

// Whether a value of a record is one that a probe read: not its standard error, or the number of windows.
bool is_reading(const std::string& key);

// One value for each layer, in the order of layers: the mean over heads, or the largest, as the
// probe declares.
std::vector<std::pair<Index, double>> by_layer(const std::vector<Record>& records, const std::string& key);

// Over all layers, heads and tensors: the mean, or the largest, as the probe declares; NaN if there is none.
double over_all(const std::vector<Record>& records, const std::string& key);

// What the probes and validations of these runs said last, a column a run. What probes declare to be a detail
// is left out, and so is what none of the runs has. NaN: this run has not.
struct Comparison {
  struct Row {
    std::string label;
    std::vector<double> values;
  };
  std::vector<std::string> names;  // of the runs
  std::vector<Row> rows;
};
Comparison compare_runs(const std::vector<std::string>& run_folders);
// The same as a table of text.
std::string comparison(const std::vector<std::string>& run_folders);

// All probes, a line each, with what they read below them.
std::string list_of_probes();

}  // namespace ef
