// Watching a run: reads the chosen probes every so many updates, writes what they say, rings the alarms.
#pragma once
#include <string>
#include <vector>

#include "models/alarms.h"
#include "models/probes.h"
#include "train/files.h"
#include "train/live.h"
#include "train/run.h"
#include "train/trainer.h"

namespace ef {

// Scalars go to metrics.jsonl with step, split, probe, layer and head; arrays to probes/NAME.KEY.STEP.npy.
class Watch {
 public:
  Watch(const Config& config, const RunFolder& run, const ValidationWindows& windows, LineLog& metrics,
        Live& live);

  // Whether probes are read after the update that makes `done` updates.
  bool due(Index done) const { return !probes_.empty() && done % every_ == 0; }
  void read(Trainer& trainer, Index done);
  void rehearse(Trainer& trainer) const;  // reads and forgets, to touch the memory that this takes
  void validated(Index done, const Evaluation& evaluation);

 private:
  void report(Index done, const std::vector<AlarmEvent>& events);

  const RunFolder& run_;
  std::vector<Probe> probes_;
  Index every_;
  Batch batch_;  // the first validation windows, the same at each reading
  LineLog& metrics_;
  Live& live_;
  Alarms alarms_;
};

// The whole lines of metrics.jsonl; none if there is no such file.
std::vector<Record> read_metrics(const std::string& path);

// One value for each layer, in the order of layers: the mean over heads, or the largest where `key` is
// "largest".
std::vector<std::pair<Index, double>> by_layer(const std::vector<Record>& records, const std::string& key);

// A table of what the probes and validations of these runs said last, a column a run.
std::string comparison(const std::vector<std::string>& run_folders);

}  // namespace ef
