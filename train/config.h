// All that makes a run what it is. Saved as config.json in the run's folder; a run can be repeated from it
// alone.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/optimisers/optimiser.h"
#include "engine/schedule.h"
#include "models/config.h"
#include "train/files/build.h"
#include "train/options/fields.h"

namespace ef {

struct Config {
  std::string preset = "story";

  // Data
  std::string data = "builtin";    // a source by name, or the path of a text: data/source.h
  std::string windows = "random";  // or "blocks"

  ModelConfig model;

  // Training
  Index steps = 1000;     // updates
  Index batch = 16;       // sequences an update, over all workers
  Index micro_batch = 0;  // at most so many sequences at once in a worker; 0: see automatic_micro_batch()
  std::string precision = "float32";  // of matmuls: see blas::use_precision()
  Index workers = 0;                  // threads; 0: one for each processor
  std::uint64_t seed = 1;
  OptimiserConfig optimiser;  // its learning rate is that of the schedule, its options are those below
  ScheduleConfig schedule;    // its `total` is `steps`
  OptionValues options;       // of data, optimisers and schedules; those of a model's parts are in `model`
  double clip = 1;            // largest norm of the gradient; 0: not clipped
  double label_smoothing = 0;
  bool overfit_one_batch =
      false;  // train on the first batch again and again: a working layer drives the loss to 0

  // Watching
  Index log_every = 10;    // updates between lines of metrics.jsonl
  Index eval_every = 250;  // updates between validations; 0: only at the end
  // Held-out tokens scored at each of these: a number, "all", or "auto": see eval_tokens(). At the end all
  // are.
  std::string eval_tokens = "auto";
  Index checkpoint_every = 500;        // updates between checkpoints; one more at the end
  Index patience = 0;                  // stop after so many validations without a new best; 0: never
  Index sample_tokens = 600;           // how much to write at the end
  std::string probe;                   // names of probes to read, with commas and *; empty: none
  Index every = 50;                    // updates between readings of probes
  Index probe_sequences = 2;           // how many validation windows they look at then
  std::string probe_windows = "auto";  // how many at each validation: a number, all, or auto
  std::string name;                    // the run's folder is runs/NAME; empty: named after the preset
  std::string runs = "runs";           // where the folders of runs stand
};

// All fields, bound to this config: the one list from which command line, --help and config.json are made.
FieldList fields(Config& config);

// Sets everything that belongs to the preset. Error with the nearest name.
void apply_preset(Config& config, const std::string& name);
struct Preset {
  std::string name, what;
  void (*apply)(Config&);
};
const std::vector<Preset>& presets();

// How many held-out tokens a validation scores, of so many that there are. auto: 3 for each 10 that are
// trained on between two validations, as scoring one takes a third of training one, so that it takes a tenth
// of the time; but 250,000 at least, where small texts are scored as a whole.
Index eval_tokens(const Config& config, Index held_out);

// How many of so many validation windows probes look at, at each validation: --probe-windows. "auto" is one
// for each 25 windows that are trained on between two validations, and not fewer than --probe-sequences. To
// read a window costs a third of training on one in the preset story, about as much where the context is long
// and heads are many: so that is 1 to 4 % of the time.
Index probe_windows(const Config& config, Index windows);

// Mistakes that can be told before anything is built: zero steps, negative rates, ... (Error).
void check(const Config& config);

// Why an option does nothing beside the others, as "attention is softmax"; "" if it does something. Siblings
// tell it of theirs (engine/option.h) and of what they ignore (engine/registry.h), those of schedule and
// decay are known here; of all others it is taken that they do something. `option`: as in fields(), without
// dashes.
std::string idle_reason(const Config& config, const std::string& option);
// The same run, with all that does nothing at its default: two configurations that are equal then train
// alike, to the same bits.
Config without_idle(const Config& config);

// Options that older versions had and wrote down, and that decide nothing any more: they are not looked at.
bool is_former_option(const std::string& name);

// `more`: further keys and their values as JSON text.
std::string to_json(const Config& config, const std::vector<std::pair<std::string, std::string>>& more = {});
// Sets the fields that the JSON object names. Keys that are no fields are an Error, except those in `ignore`.
void from_json(Config& config, const std::string& text, const std::vector<std::string>& ignore = {});

// What code made something.
struct Code {
  std::string version, sources;  // sources: "" of versions that did not write it down
  // Whether it is the code of this program: of the same sources, or, where these are not known, of the same
  // version, committed.
  bool is_this() const;
  std::string text() const;  // "1a2b3c4-dirty (sources 0123456789ab)"
};

}  // namespace ef
