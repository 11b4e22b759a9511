#include "train/run.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "data/source.h"
#include "engine/error.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/files/safetensors.h"
#include "train/memory.h"
#include "train/text/text.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "eigenformer checkpoint 1";
// No training is longer: what says so is damaged. (At a microsecond an update, 30 years.)
constexpr Index most_updates = 1'000'000'000'000'000;
// What the optimiser remembers stands in the same file as the weights, as "optimiser.NAME.PATH".
std::string key_of(const Optimiser::Memory& memory) {
  return "optimiser." + memory.name + "." + memory.parameter->path;
}

std::vector<Index> sizes(const Shape& shape) { return {shape.dims.begin(), shape.dims.begin() + shape.rank}; }

// Keys of a checkpoint's metadata; a checksum, which is verified, vouches for further ones.
const std::vector<std::string> known_metadata = {"format",    "version",    "done",    "best",
                                                 "validated", "since_best", "finished"};

void read_into(const SafetensorsFile& file, const std::string& name, const Shape& shape, Real* data) {
  if (file.shape(name) != sizes(shape))
    fail("checkpoint: shape of " + name, "another", shape.str(), "was it saved by another configuration?");
  file.read(name, {data, static_cast<std::size_t>(shape.size())});
}

// The weights that a model is to compute with.
void read_weights(const SafetensorsFile& file, const std::string& path, Parameters& parameters) {
  for (const Parameter& p : parameters.list()) {
    Real* values = parameters.values() + p.offset;
    read_into(file, p.path, p.shape, values);
    for (Index i = 0; i < p.shape.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      throw NumericalError("checkpoint " + path + ": " + (std::isnan(values[i]) ? "NaN" : "infinity") +
                           " in " + p.path + ", number " + std::to_string(i) + " of " +
                           std::to_string(p.shape.size()));
    }
  }
}

RunState state_of(const SafetensorsFile& file, const std::string& path) {
  const auto& metadata = file.metadata();
  if (!file.verify()) {  // of an older version: or is the name of the checksum what was damaged?
    for (const auto& [key, said] : metadata) {
      if (std::find(known_metadata.begin(), known_metadata.end(), key) == known_metadata.end())
        fail("checkpoint " + path + ": metadata", in_quotes(key), "one of " + list_of(known_metadata),
             "the file may be damaged: copy it again");
    }
  }
  const auto get = [&](const char* key) {
    const auto found = metadata.find(key);
    if (found == metadata.end())
      fail("checkpoint " + path, "no metadata '" + std::string(key) + "'", "a checkpoint of this program");
    return found->second;
  };
  if (get("format") != format_name)
    fail("checkpoint " + path + ": format", in_quotes(get("format")), format_name,
         "was it written by a newer version of this program?");
  RunState state;
  const auto read = [&](const char* key, auto& value) {
    const std::string text = get(key);
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error != std::errc() || end != last || !std::isfinite(static_cast<double>(value)))
      fail("checkpoint " + path + ": " + key, in_quotes(text), "a number");
  };
  const auto count = [&](const char* key, Index& value, Index most) {
    read(key, value);
    if (value < 0 || value > most)
      fail("checkpoint " + path + ": " + key, get(key), "0 to " + std::to_string(most));
  };
  count("done", state.done, most_updates);
  read("best", state.best);
  count("validated", state.validated, state.done);
  count("since_best", state.since_best, state.validated);
  const auto finished = metadata.find("finished");
  state.finished = finished != metadata.end() && finished->second == "yes";
  return state;
}

std::string fingerprint_text(const Corpus& corpus) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(corpus.fingerprint()));
  return text;
}

}  // namespace

RunFolder create_run(const Config& config) {
  const std::string base = config.runs + "/" + (config.name.empty() ? config.preset : config.name);
  RunFolder run{base};
  make_folder(config.runs);
  std::error_code error;
  for (int n = 2; !fs::create_directory(run.path, error); ++n) {  // false: somebody has it
    if (error) fail("cannot create the folder " + run.path + ": " + error.message());
    if (!config.name.empty() && fs::exists(run.last()))
      fail("run " + base + " exists already", "", "",
           "--resume " + base + " goes on with it; or choose another --name");
    if (!config.name.empty())
      fail(base + " exists already, but has no checkpoint to go on from", "", "",
           "remove it, if it is a run that ended before it began; or choose another --name");
    run.path = base + "-" + std::to_string(n);
  }
  try {
    make_folder(run.file("checkpoint"));
  } catch (...) {
    fs::remove_all(run.path, error);
    throw;
  }
  return run;
}

std::unique_ptr<Lock> lock_run(const RunFolder& run) {
  auto lock = std::make_unique<Lock>(run.file("lock"));
  if (!lock->held())
    fail("run " + run.path + " is being trained by another process", "", "",
         "wait for it, or stop it: it leaves a checkpoint");
  return lock;
}

RunFolder open_run(const std::string& path) {
  const RunFolder run{path};
  if (!fs::is_directory(path)) fail("no run at " + path, "", "a folder that train has made, like runs/story");
  if (!fs::exists(run.file("config.json"))) fail("no config.json in " + path, "", "the folder of a run");
  if (!fs::exists(run.last()))
    fail("no checkpoint in " + path, "", "checkpoint/last.safetensors",
         "a run that ended before it began has nothing to go on from: remove the folder and start it again");
  return run;
}

void save_checkpoint(const std::string& path, Trainer& trainer, const RunState& state) {
  std::vector<ArrayView> arrays;
  Parameters& parameters = trainer.parameters();
  for (const Parameter& p : parameters.list())
    arrays.push_back({p.path, sizes(p.shape), parameters.values() + p.offset});
  for (const Optimiser::Memory& memory : trainer.optimiser().memory())
    arrays.push_back({key_of(memory), sizes(memory.shape), memory.data});
  write_safetensors(path, arrays,
                    {{"format", format_name},
                     {"version", version()},
                     {"done", std::to_string(state.done)},
                     {"best", number_text(state.best)},
                     {"validated", std::to_string(state.validated)},
                     {"since_best", std::to_string(state.since_best)},
                     {"finished", state.finished ? "yes" : "no"}},
                    Checksum::yes);
}

RunState load_checkpoint(const std::string& path, Trainer& trainer) {
  const SafetensorsFile file(path);
  const RunState state = state_of(file, path);
  read_weights(file, path, trainer.parameters());
  for (const Optimiser::Memory& memory : trainer.optimiser().memory())
    read_into(file, key_of(memory), memory.shape, memory.data);
  return state;
}

RunState read_state(const std::string& path) { return state_of(SafetensorsFile(path), path); }

RunState load_weights(const std::string& path, Parameters& parameters) {
  const SafetensorsFile file(path);
  const RunState state = state_of(file, path);
  read_weights(file, path, parameters);
  return state;
}

std::string cut_metrics(const RunFolder& run, const Config& config, Index done, bool owes_validation) {
  std::set<Index> trained, validated;
  Index unreadable = 0;
  LineLog::keep_lines_if(run.file("metrics.jsonl"), [&](std::string_view line) {
    try {
      const Record record = Record::parse(line);
      if (record.step > done) return false;
      if (const std::string split = record.label("split"); record.label("probe").empty() && !split.empty())
        (split == "train" ? trained : validated).insert(record.step);
      return true;
    } catch (const Error&) {
      ++unreadable;
      return false;
    }
  });
  Index first = done + 1, missing = 0;
  const auto look = [&](const std::set<Index>& there, Index every, Index until) {
    if (every <= 0 || every > until) return;
    Index step = every;
    while (step <= until && there.contains(step)) step += every;
    if (step > until) return;
    first = std::min(first, step);
    missing += until / every -
               std::count_if(there.begin(), there.end(), [&](Index s) { return s > 0 && s % every == 0; });
  };
  look(trained, config.log_every, done);
  look(validated, config.eval_every, done - owes_validation);
  if (missing == 0 && unreadable == 0) return "";
  std::string text = "metrics.jsonl";
  if (missing > 0)
    text.append(" lacks ")
        .append(count_text(static_cast<std::size_t>(missing), "line"))
        .append(" before the checkpoint of step ")
        .append(std::to_string(done))
        .append(", the first of step ")
        .append(std::to_string(first));
  if (unreadable > 0)
    text.append(missing > 0 ? ";" : " had")
        .append(" ")
        .append(count_text(static_cast<std::size_t>(unreadable), "line"))
        .append(" that could not be read");
  return text + "; what is missing does not come again";
}

const std::vector<std::string>& facts_in_config() {
  static const std::vector<std::string> keys = {
      "version", "sources", "data-fingerprint", "vocabulary", "parameters", "spectra",
      "blas",    "kernel",  "compiler",         "build",      "processor"};
  return keys;
}

void save_config(const RunFolder& run, const Config& config, const Corpus& corpus, Trainer& trainer) {
  const Machine machine = this_machine();
  const auto quoted = [](const std::string& text) {  // whatever bytes the system gave
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  write_atomically(run.file("config.json"),
                   to_json(config, {{"version", nlohmann::json(version()).dump()},
                                    {"sources", nlohmann::json(sources()).dump()},
                                    {"data-fingerprint", '"' + fingerprint_text(corpus) + '"'},
                                    {"vocabulary", std::to_string(corpus.tokenizer->vocab_size())},
                                    {"parameters", std::to_string(trainer.parameters().count())},
                                    {"spectra", nlohmann::json(describe_qk(trainer.model())).dump()},
                                    {"blas", quoted(machine.blas)},
                                    {"kernel", quoted(machine.kernel)},
                                    {"compiler", quoted(machine.compiler)},
                                    {"build", quoted(machine.build)},
                                    {"processor", quoted(machine.processor)}}));
  write_atomically(run.file("tokenizer.txt"), save(corpus.tokenizer));
}

SavedConfig load_config(const RunFolder& run) {
  SavedConfig saved;
  const std::string text = read_file(run.file("config.json"));
  try {
    from_json(saved.config, text, facts_in_config());
  } catch (const Error& error) {
    fail(run.file("config.json") + ": " + error.what());
  }
  const std::string path = run.file("config.json");
  const auto json = parse_json(text, path, JsonBy::hand);
  saved.data_fingerprint = text_at(json, "data-fingerprint", path);
  saved.code = {text_at(json, "version", path), text_at(json, "sources", path)};
  saved.machine = {text_at(json, "processor", path), text_at(json, "blas", path),
                   text_at(json, "kernel", path), text_at(json, "compiler", path),
                   text_at(json, "build", path)};
  return saved;
}

void check_fingerprint(const Corpus& corpus, const SavedConfig& saved) {
  if (fingerprint_text(corpus) == saved.data_fingerprint) return;
  fail("fingerprint of the data " + saved.config.data, fingerprint_text(corpus), saved.data_fingerprint,
       corpus.notes.empty()
           ? "has the text changed since the run began?"
           : "has the text changed since the run began? If an older version began it, which read "
             "line ends as they are, write \"keep-line-ends\": true into its config.json");
}

LoadedModel::LoadedModel(const std::string& folder, const std::string& checkpoint)
    : tokenizer(load_tokenizer(read_file(open_run(folder).file("tokenizer.txt")))) {
  const RunFolder run{folder};
  saved = load_config(run);
  saved.config.model.vocab = tokenizer->vocab_size();
  check_memory(saved.config, Use::reading);
  Transformer declare(Builder(parameters_, nullptr), saved.config.model);
  check_memory(parameters_, 1);
  parameters_.allocate();
  path = checkpoint == "best" && fs::exists(run.best()) ? run.best() : run.last();
  state = load_weights(path, parameters_);
  model_ = std::make_unique<Transformer>(Builder(parameters_, nullptr), saved.config.model);
}

Corpus load_data(const Config& config) { return data_source(config.data, config.options)->load(config.data); }

std::string data_name(const Config& config) {
  Config copy = config;
  std::string name = config.data;
  for (const Field& field : fields(copy).list)
    if (field.sibling && field.sibling->root == "data" && field.sibling->chosen())
      name.append(" ").append(field.get());
  return name;
}

std::string Record::line() const {
  nlohmann::ordered_json json;
  json["step"] = step;
  for (const auto& [key, text] : labels) json[key] = text;
  if (layer >= 0) json["layer"] = layer;
  if (head >= 0) json["head"] = head;
  for (const auto& [key, number] : values) {
    if (std::isfinite(number))
      json[key] = number;
    else
      json[key] = nullptr;
  }
  return json.dump();
}

Record Record::parse(std::string_view line) {
  const auto json = parse_json(line, "metrics");
  if (!json.is_object() || !json.contains("step"))
    fail("metrics", in_quotes(line.substr(0, 60)), "{\"step\": ...}");
  Record record;
  for (const auto& [key, value] : json.items()) {
    if (key == "step")
      record.step = whole_number(value, "metrics: " + key);
    else if (key == "layer")
      record.layer = whole_number(value, "metrics: " + key);
    else if (key == "head")
      record.head = whole_number(value, "metrics: " + key);
    else if (value.is_string())
      record.labels.emplace_back(key, value.get<std::string>());
    else
      record.values.emplace_back(key, value.is_number() ? value.get<double>() : std::nan(""));
  }
  return record;
}

std::string Record::label(const std::string& key) const {
  for (const auto& [name, text] : labels) {
    if (name == key) return text;
  }
  return "";
}

double Record::value(const std::string& key) const {
  for (const auto& [name, number] : values) {
    if (name == key) return number;
  }
  return std::nan("");
}

}  // namespace ef
