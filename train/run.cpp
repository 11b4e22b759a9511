#include "train/run.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/source.h"
#include "engine/error.h"
#include "train/files/files.h"
#include "train/files/safetensors.h"
#include "train/text/text.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

constexpr const char* format_name = "eigenformer checkpoint 1";
// What the optimiser remembers stands in the same file as the weights, as "optimiser.NAME.PATH".
std::string key_of(const Optimiser::Memory& memory) {
  return "optimiser." + memory.name + "." + memory.parameter->path;
}

std::vector<Index> sizes(const Shape& shape) { return {shape.dims.begin(), shape.dims.begin() + shape.rank}; }

void read_into(const SafetensorsFile& file, const std::string& name, const Shape& shape, Real* data) {
  if (file.shape(name) != sizes(shape))
    fail("checkpoint: shape of " + name, "another", shape.str(), "was it saved by another configuration?");
  file.read(name, {data, static_cast<std::size_t>(shape.size())});
}

RunState state_of(const SafetensorsFile& file, const std::string& path) {
  const auto& metadata = file.metadata();
  const auto get = [&](const char* key) {
    const auto found = metadata.find(key);
    if (found == metadata.end())
      fail("checkpoint " + path, "no metadata '" + std::string(key) + "'", "a checkpoint of this program");
    return found->second;
  };
  if (get("format") != format_name) fail("checkpoint " + path + ": format", get("format"), format_name);
  RunState state;
  const auto read = [&](const char* key, auto& value) {
    const std::string text = get(key);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || *end != 0)
      fail("checkpoint " + path + ": " + key, in_quotes(text), "a number");
  };
  read("done", state.done);
  read("best", state.best);
  read("validated", state.validated);
  read("since_best", state.since_best);
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
  if (!config.name.empty() && fs::exists(base)) {
    fail("run " + base + " exists already", "", "",
         "--resume " + base + " goes on with it; or choose another --name");
  }
  for (int n = 2; fs::exists(run.path); ++n) run.path = base + "-" + std::to_string(n);
  make_folder(run.path);
  make_folder(run.file("checkpoint"));
  return run;
}

RunFolder open_run(const std::string& path) {
  const RunFolder run{path};
  if (!fs::is_directory(path)) fail("no run at " + path, "", "a folder that train has made, like runs/story");
  if (!fs::exists(run.file("config.json"))) fail("no config.json in " + path, "", "the folder of a run");
  if (!fs::exists(run.last()))
    fail("no checkpoint in " + path, "", "checkpoint/last.safetensors",
         "did the run end before its first one?");
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
                     {"finished", state.finished ? "yes" : "no"}});
}

RunState load_checkpoint(const std::string& path, Trainer& trainer) {
  const SafetensorsFile file(path);
  const RunState state = state_of(file, path);
  for (const Parameter& p : trainer.parameters().list())
    read_into(file, p.path, p.shape, trainer.parameters().values() + p.offset);
  for (const Optimiser::Memory& memory : trainer.optimiser().memory())
    read_into(file, key_of(memory), memory.shape, memory.data);
  return state;
}

RunState read_state(const std::string& path) { return state_of(SafetensorsFile(path), path); }

RunState load_weights(const std::string& path, Parameters& parameters) {
  const SafetensorsFile file(path);
  for (const Parameter& p : parameters.list())
    read_into(file, p.path, p.shape, parameters.values() + p.offset);
  return state_of(file, path);
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
  const auto json = nlohmann::json::parse(text, nullptr, false, true);
  saved.data_fingerprint = json.value("data-fingerprint", "");
  saved.code = {json.value("version", ""), json.value("sources", "")};
  saved.machine = {json.value("processor", ""), json.value("blas", ""), json.value("kernel", ""),
                   json.value("compiler", ""), json.value("build", "")};
  return saved;
}

void check_fingerprint(const Corpus& corpus, const SavedConfig& saved) {
  if (fingerprint_text(corpus) == saved.data_fingerprint) return;
  fail("fingerprint of the data " + saved.config.data, fingerprint_text(corpus), saved.data_fingerprint,
       "has the text changed since the run began?");
}

LoadedModel::LoadedModel(const std::string& folder, const std::string& checkpoint)
    : tokenizer(load_tokenizer(read_file(open_run(folder).file("tokenizer.txt")))) {
  const RunFolder run{folder};
  saved = load_config(run);
  saved.config.model.vocab = tokenizer->vocab_size();
  Transformer declare(Builder(parameters_, nullptr), saved.config.model);
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
  const auto json = nlohmann::ordered_json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("step"))
    fail("metrics", std::string(line.substr(0, 60)), "{\"step\": ...}");
  Record record;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string())
      record.labels.emplace_back(key, value.get<std::string>());
    else if (key == "step")
      record.step = value.get<Index>();
    else if (key == "layer")
      record.layer = value.get<Index>();
    else if (key == "head")
      record.head = value.get<Index>();
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
