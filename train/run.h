// The folder of a run: its configuration, metrics, checkpoint, and what it wrote.
//
//   config.json            all options, the version of the code, the machine, the data's fingerprint
//   tokenizer.txt          ids and tokens
//   metrics.jsonl          one JSON object a line, each with its step; a function of the configuration alone,
//                          so a resumed run leaves the same bytes as an uninterrupted one
//   log.txt                what was shown on the screen, with times and speeds
//   checkpoint/            last.safetensors: weights, moments and state; best.safetensors: the same at the
//                          best validation
//   lock                   held by the process that trains it
//   sample.txt             what it writes, at the end
//   report.html            its page, at the end
#pragma once
#include <string>

#include "data/corpus.h"
#include "train/config.h"
#include "train/files/machine.h"
#include "train/files/process.h"
#include "train/trainer.h"

namespace ef {

struct RunFolder {
  std::string path;
  std::string file(const std::string& name) const { return path + "/" + name; }
  std::string last() const { return file("checkpoint/last.safetensors"); }
  std::string best() const { return file("checkpoint/best.safetensors"); }
};

// Makes the folder RUNS/NAME; without a name the first free of RUNS/PRESET, RUNS/PRESET-2, ... No other
// process gets the same one. Error if a named run exists, or the folder cannot be written.
RunFolder create_run(const Config& config);

// Holds the run until it is destroyed, or the process ends in whatever way. Error if another process holds
// it.
std::unique_ptr<Lock> lock_run(const RunFolder& run);

// Error if there is no run, or it has no checkpoint.
RunFolder open_run(const std::string& path);

// What the loop knows besides weights and moments.
struct RunState {
  Index done = 0;        // updates
  double best = 0;       // smallest validation loss so far, in nats a token; meaningful if validated > 0
  Index validated = 0;   // how many validations there were
  Index since_best = 0;  // of these, since the best one
  // Whether training came to its end: all steps are done, or patience is out. (Older versions did not say.)
  bool finished = false;
};

void save_checkpoint(const std::string& path, Trainer& trainer, const RunState& state);
// Error if the file is damaged (it carries a checksum; those of older versions do not) or belongs to another
// model; NumericalError if a weight is not finite.
RunState load_checkpoint(const std::string& path, Trainer& trainer);
// What it says beside its numbers. Error if it is damaged.
RunState read_state(const std::string& path);
// The weights alone, into parameters that are allocated. Errors as load_checkpoint.
RunState load_weights(const std::string& path, Parameters& parameters);

// Cuts off the lines of metrics.jsonl that a killed run wrote after its last checkpoint: they will come
// again. Returns what is missing or unreadable before it, in words; "" if nothing is. owes_validation: that
// of the last step was interrupted, and has no line yet.
std::string cut_metrics(const RunFolder& run, const Config& config, Index done, bool owes_validation = false);

// What config.json holds: the options, and what they led to. Writes tokenizer.txt, too.
// Keys of config.json that are no options, but what they led to.
const std::vector<std::string>& facts_in_config();
void save_config(const RunFolder& run, const Config& config, const Corpus& corpus, Trainer& trainer);
struct SavedConfig {
  Config config;
  std::string data_fingerprint;
  Code code;
  Machine machine;  // of older versions nothing is known
};
SavedConfig load_config(const RunFolder& run);
// Error if the data are not those that the run was trained on.
void check_fingerprint(const Corpus& corpus, const SavedConfig& saved);

// A trained model, ready to write or to be judged.
class LoadedModel {
 public:
  // From the folder of a run; checkpoint: "best" or "last". Error if there is none.
  LoadedModel(const std::string& run, const std::string& checkpoint);
  const Transformer& model() const { return *model_; }

  SavedConfig saved;
  LearnedTokenizer tokenizer;
  std::string path;  // of the checkpoint
  RunState state;

 private:
  Parameters parameters_;
  std::unique_ptr<Transformer> model_;
};

// The corpus that a configuration names. The built-in language does not depend on the run's seed.
Corpus load_data(const Config& config);
// Names that corpus: configurations of one name load the same text as the same ids.
std::string data_name(const Config& config);

// One line of metrics.jsonl:
// {"step":50,"split":"valid","probe":"attn.entropy","layer":0,"head":1,"nats":2.1}.
struct Record {
  Index step = 0;
  std::vector<std::pair<std::string, std::string>> labels;  // split, probe, tensor, alarm, state
  Index layer = -1, head = -1;                              // left out if -1
  std::vector<std::pair<std::string, double>> values;       // null if not finite

  std::string line() const;
  static Record parse(std::string_view line);  // Error if it is no such line
  // "" if there is no such label; NaN if there is no such value.
  std::string label(const std::string& key) const;
  double value(const std::string& key) const;
};

}  // namespace ef
