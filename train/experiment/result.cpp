// Result files: what is kept of a run, and reading it back.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/error.h"
#include "train/experiment/result.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/files/npy.h"
#include "train/run.h"
#include "train/watch.h"

namespace ef {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr const char* format = "eigenformer result 1";
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// So many points, sites and steps are kept at most.
constexpr std::size_t train_points = 100, probe_points = 50, spectra_kept = 12, array_numbers = 4096;

// ---- Numbers

// To so many significant digits.
double rounded(double x, int digits) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", digits, x);
  return std::isfinite(x) ? std::strtod(text, nullptr) : x;
}

json number(double x) { return std::isfinite(x) ? json(x) : json(nullptr); }
double number_of(const json& value) { return value.is_number() ? value.get<double>() : missing; }

json numbers(const std::vector<double>& values, int digits) {
  json list = json::array();
  for (const double x : values) list.push_back(number(rounded(x, digits)));
  return list;
}

// `count` of 0, ..., n - 1, evenly, the first and the last among them.
std::vector<std::size_t> spread_over(std::size_t n, std::size_t count) {
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < std::min(n, count); ++i)
    chosen.push_back(n <= count ? i : i * (n - 1) / (count - 1));
  return chosen;
}

// The means of so many stretches of equal length.
Curve bucketed(const Curve& curve, std::size_t count) {
  const std::size_t n = curve.steps.size();
  if (n <= count) return curve;
  Curve result{curve.name, curve.layer, {}, {}};
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t begin = i * n / count, size = (i + 1) * n / count - begin;
    result.steps.push_back(std::round(mean(std::span(curve.steps).subspan(begin, size))));
    result.values.push_back(mean(std::span(curve.values).subspan(begin, size)));
  }
  return result;
}

Curve thinned(const Curve& curve, std::size_t count) {
  Curve result{curve.name, curve.layer, {}, {}};
  for (const std::size_t i : spread_over(curve.steps.size(), count)) {
    result.steps.push_back(curve.steps[i]);
    result.values.push_back(curve.values[i]);
  }
  return result;
}

// ---- JSON that a person can read, and diff

bool is_flat(const json& value) {
  return value.is_array() &&
         std::none_of(value.begin(), value.end(), [](const json& x) { return x.is_structured(); });
}

// As dump(2), but lists of numbers and texts stand on one line.
void write(const json& value, const std::string& indent, std::string& out) {
  if (!value.is_structured() || value.empty() || is_flat(value)) {
    out += value.dump();
    return;
  }
  const std::string inner = indent + " ";
  out += value.is_object() ? "{" : "[";
  const char* separator = "\n";
  for (const auto& [key, item] : value.items()) {
    out += separator + inner;
    if (value.is_object()) out += json(key).dump() + ": ";
    write(item, inner, out);
    separator = ",\n";
  }
  out += "\n" + indent + (value.is_object() ? "}" : "]");
}

// ---- What a run left

// By probe and key ("nats", and its standard error, "nats.se"), the records of each step.
using Readings = std::map<std::pair<std::string, std::string>, std::map<Index, std::vector<Record>>>;

Readings readings_of(const std::vector<Record>& records) {
  Readings readings;
  for (const Record& record : records) {
    if (record.label("probe").empty() || !record.label("tensor").empty()) continue;
    for (const auto& [key, value] : record.values) {
      if (key != "windows") readings[{record.label("probe"), key}][record.step].push_back(record);
    }
  }
  return readings;
}

// The texts of lines "warning: ..." of log.txt, each once: a run that was resumed says them again.
std::vector<std::string> warnings_of(const std::string& path) {
  std::vector<std::string> warnings;
  if (!fs::exists(path)) return warnings;
  const std::string log = read_file(path), prefix = "warning: ";
  for (std::size_t begin = 0; begin < log.size();) {
    const std::size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    if (!line.starts_with(prefix)) continue;
    const std::string text = line.substr(prefix.size());
    if (std::find(warnings.begin(), warnings.end(), text) == warnings.end()) warnings.push_back(text);
  }
  return warnings;
}

// The mean over layers and heads, or the largest.
double over_layers(const std::vector<Record>& records, const std::string& key) {
  double total = 0, largest = missing;
  const auto layers = by_layer(records, key);
  for (const auto& [layer, value] : layers) {
    total += value;
    largest = value <= largest ? largest : value;
  }
  const bool of_largest =
      !records.empty() && quantity_of(records[0].label("probe"), key).joined == Quantity::Joined::largest;
  return of_largest ? largest : total / static_cast<double>(layers.size());
}

void collect_losses(const std::vector<Record>& records, RunResult& result) {
  Curve train{"train.loss", -1, {}, {}}, loss{"valid.loss", -1, {}, {}},
      perplexity{"valid.perplexity", -1, {}, {}};
  double floor = missing;
  for (const Record& record : records) {
    if (!record.label("probe").empty() || !record.label("alarm").empty()) continue;
    const bool valid = record.label("split") == "valid";
    const auto add = [&](Curve& curve, const char* key) {
      curve.steps.push_back(static_cast<double>(record.step));
      curve.values.push_back(record.value(key));
    };
    // Label smoothing makes it another quantity, with a name of its own.
    if (!valid && !std::isnan(record.value("smoothed_loss"))) train.name = "train.smoothed_loss";
    add(valid ? loss : train, valid || train.name == "train.loss" ? "loss" : "smoothed_loss");
    if (!valid) continue;
    add(perplexity, "perplexity");
    floor = record.value("floor");
  }
  std::map<std::string, double>& figures = result.figures;
  if (!loss.values.empty()) {
    std::size_t best = 0;  // the first of equals, as train chooses
    for (std::size_t i = 1; i < loss.values.size(); ++i)
      if (loss.values[i] < loss.values[best]) best = i;
    figures["valid.loss"] = loss.values[best];
    figures["valid.perplexity"] = perplexity.values[best];
    figures["valid.step"] = loss.steps[best];
    figures["valid.loss.last"] = loss.values.back();
    figures["valid.perplexity.last"] = perplexity.values.back();
    figures["valid.loss.mean"] = mean(loss.values);
    if (std::isfinite(floor)) figures["valid.excess"] = loss.values[best] - floor;
  }
  if (!train.values.empty()) {
    const std::size_t tenth = (train.values.size() + 9) / 10;
    figures[train.name] = mean(std::span(train.values).last(tenth));
  }
  result.curves.push_back(bucketed(train, train_points));
  result.curves.push_back(loss);
  result.curves.push_back(perplexity);
}

void collect_probes(const std::vector<Record>& records, RunResult& result) {
  const double best = result.figure("valid.step");
  const Readings all_readings = readings_of(records);
  for (const auto& [probe_and_key, steps] : all_readings) {
    const auto& [probe, key] = probe_and_key;
    const std::string name = probe + "." + key;
    const auto& [last_step, at_last] = *steps.rbegin();
    if (!is_reading(key)) {  // a standard error: of the reading that the figure is of
      const auto measured = all_readings.find({probe, key.substr(0, key.rfind('.'))});
      if (measured != all_readings.end() && measured->second.rbegin()->first == last_step)
        result.figures[name] = over_layers(of_most_windows(at_last), key);
      continue;
    }
    // Numbers are read from many windows, curves and what is found on them from the same few at all steps.
    result.figures[name] = over_layers(of_most_windows(at_last), key);
    for (const Record& record : of_most_windows(at_last))
      if (record.value("windows") > static_cast<double>(result.windows))
        result.windows = static_cast<Index>(record.value("windows"));
    std::map<Index, Curve> layers;
    for (const auto& [step, all] : steps) {
      const std::vector<Record> few = of_fewest_windows(all);
      for (const auto& [layer, value] : by_layer(few, key)) {
        Curve& curve = layers[layer];
        curve.name = name;
        curve.layer = layer;
        curve.steps.push_back(static_cast<double>(step));
        curve.values.push_back(value);
      }
      const double value = over_layers(few, key);
      // fmin and fmax pass over a NaN, as long as there is a number.
      double& least = result.figures.try_emplace(name + ".min", value).first->second;
      double& most = result.figures.try_emplace(name + ".max", value).first->second;
      least = std::fmin(least, value);
      most = std::fmax(most, value);
      if (static_cast<double>(step) == best)
        result.figures[name + ".best"] = over_layers(of_most_windows(all), key);
    }
    for (const auto& [layer, curve] : layers) result.curves.push_back(thinned(curve, probe_points));
  }
}

RunResult::Spectrum spectrum_of(const std::string& path, Index step) {
  RunResult::Spectrum spectrum{step, {}};
  const NpyArray array = read_npy(path);  // [layer, head, D, 2]
  if (array.shape.size() != 4 || array.shape[3] != 2) return spectrum;
  const float* x = array.values.data();
  for (Index layer = 0; layer < array.shape[0]; ++layer) {
    spectrum.eigenvalues.emplace_back();
    for (Index head = 0; head < array.shape[1]; ++head) {
      spectrum.eigenvalues.back().emplace_back();
      for (Index i = 0; i < array.shape[2]; ++i, x += 2) {
        if (!std::isfinite(x[0])) continue;  // a layer without such a head, or fewer eigenvalues
        spectrum.eigenvalues.back().back().emplace_back(rounded(static_cast<double>(x[0]), 4),
                                                        rounded(static_cast<double>(x[1]), 4));
      }
    }
  }
  return spectrum;
}

// probes/NAME.KEY.STEP.npy
void collect_arrays(const std::string& run_folder, Index last_step, RunResult& result) {
  std::map<std::string, std::map<Index, std::string>> files;  // by name and step
  std::error_code error;                                      // no folder: no files
  for (fs::directory_iterator file(run_folder + "/probes", error), end; !error && file != end;
       file.increment(error)) {
    const std::string stem = file->path().stem().string();
    const std::size_t point = stem.rfind('.');
    Index step = -1;
    if (file->path().extension() != ".npy" || point == std::string::npos) continue;
    std::from_chars(stem.data() + point + 1, stem.data() + stem.size(), step);
    if (step >= 0 && step <= last_step) files[stem.substr(0, point)][step] = file->path().string();
  }
  for (const auto& [name, steps] : files) {
    std::vector<std::pair<Index, std::string>> list(steps.begin(), steps.end());
    if (name.ends_with(".eigenvalues")) {
      for (const std::size_t i : spread_over(list.size(), spectra_kept))
        result.spectra.push_back(spectrum_of(list[i].second, list[i].first));
      continue;
    }
    NpyArray array = read_npy(list.back().second);
    if (name.ends_with(".map") && array.shape.size() == 4 && !array.values.empty()) {
      array.values.resize(static_cast<std::size_t>(array.shape[2] * array.shape[3]));  // of the first head
      array.shape[0] = array.shape[1] = 1;
    }
    if (array.values.size() > array_numbers) continue;
    result.arrays.push_back(
        {name, list.back().first, array.shape, {array.values.begin(), array.values.end()}});
  }
}

// What eval --json wrote: loss, and loss with context.
void collect_evaluation(const std::string& path, const std::string& plain, const std::string& with_context,
                        RunResult& result) {
  if (!fs::exists(path)) return;
  const json evaluation = parse_json(read_file(path), path);
  const auto add = [&](const char* key, const std::string& prefix) {
    if (prefix.empty() || !evaluation.is_object() || !evaluation.contains(key)) return;
    const double loss = number_of(evaluation[key]);
    result.figures[prefix + "loss"] = loss;
    result.figures[prefix + "perplexity"] = std::exp(loss);
  };
  add("loss", plain);
  add("context_loss", with_context);
}

// Figures that probes derive from arrays (the entropy of the site profile), where an older version kept the
// arrays only.
void derive_figures(RunResult& result) {
  for (const RunResult::Array& array : result.arrays) {
    for (const Probe& probe : all_probes()) {
      const std::string prefix = probe.name + ".";
      if (!probe.derive || !array.name.starts_with(prefix)) continue;
      const std::string key = array.name.substr(prefix.size());
      Reading derived;
      probe.derive({{key, array.shape, {array.values.begin(), array.values.end()}}}, derived);
      for (const Reading::Scalar& s : derived.scalars)
        result.figures.try_emplace(prefix + s.key, derived.mean(s.key));
    }
  }
}

bool same_heads(const RunResult::Spectrum& a, const RunResult::Spectrum& b) {
  return std::ranges::equal(a.eigenvalues, b.eigenvalues,
                            [](const auto& x, const auto& y) { return x.size() == y.size(); });
}

}  // namespace

// ---- RunResult

double RunResult::figure(const std::string& name) const {
  const auto found = figures.find(name);
  return found == figures.end() ? missing : found->second;
}

const Curve* RunResult::curve(const std::string& name, Index layer) const {
  for (const Curve& one : curves) {
    if (one.name == name && one.layer == layer) return &one;
  }
  return nullptr;
}

RunResult collect_result(const std::string& run_folder, const std::string& failure) {
  RunResult result;
  result.failure = failure;
  const RunFolder run{run_folder};
  result.options = options_of(load_config(run).config);
  const std::string path = run.file("config.json");
  const json config = parse_json(read_file(path), path, JsonBy::hand);
  result.version = text_at(config, "version", path);
  result.sources = text_at(config, "sources", path);
  result.data_fingerprint = text_at(config, "data-fingerprint", path);
  result.parameters = number_at(config, "parameters", path);
  result.vocabulary = number_at(config, "vocabulary", path);

  const std::vector<Record> records = read_metrics(run.file("metrics.jsonl"));
  for (const Record& record : records) result.steps = std::max(result.steps, record.step);
  collect_losses(records, result);
  collect_probes(records, result);
  result.warnings = warnings_of(run.file("log.txt"));
  collect_arrays(run_folder, result.steps, result);
  collect_evaluation(run.file("eval-valid.json"), "", "context.", result);
  collect_evaluation(run.file("eval-test.json"), "test.", "test.context.", result);
  return result;
}

std::string to_json(const RunResult& r) {
  json whole;
  whole["format"] = format;
  whole["plan"] = r.plan;
  whole["arm"] = r.arm;
  whole["seed"] = r.seed;
  whole["state"] = r.failed() ? "failed" : "finished";
  if (r.failed()) whole["failure"] = r.failure;
  whole["steps"] = r.steps;
  if (r.windows > 0) whole["windows"] = r.windows;
  if (!r.warnings.empty()) whole["warnings"] = r.warnings;
  for (const auto& [name, value] : r.figures) whole["figures"][name] = number(value);
  whole["version"] = r.version;
  if (!r.sources.empty()) whole["sources"] = r.sources;
  whole["data-fingerprint"] = r.data_fingerprint;
  whole["parameters"] = number(r.parameters);
  whole["vocabulary"] = number(r.vocabulary);
  whole["processor"] = r.processor;
  whole["cores"] = r.cores;
  whole["compiler"] = r.compiler;
  if (!r.blas.empty()) whole["blas"] = r.blas;
  if (!r.kernel.empty()) whole["kernel"] = r.kernel;
  if (!r.build.empty()) whole["build"] = r.build;
  whole["seconds"] = {{"cpu", number(rounded(r.cpu_seconds, 4))},
                      {"wall", number(rounded(r.wall_seconds, 4))},
                      {"steps", r.timed_steps}};
  Config config;
  json& options = whole["options"];
  for (const Field& field : fields(config).list) {  // in their order, numbers as numbers
    const auto found = r.options.find(field.name);
    if (found == r.options.end()) continue;
    options[field.name] = field.is_text ? json(found->second) : parse_json(found->second, "--" + field.name);
  }
  json& curves = whole["curves"] = json::array();
  for (const Curve& c : r.curves) {
    json curve;
    curve["name"] = c.name;
    if (c.layer >= 0) curve["layer"] = c.layer;
    curve["steps"] = json::array();
    for (const double step : c.steps) curve["steps"].push_back(std::llround(step));
    curve["values"] = numbers(c.values, 6);
    curves.push_back(curve);
  }
  json& spectra = whole["eigenvalues"] = json::array();
  for (const RunResult::Spectrum& s : r.spectra) {
    json layers = json::array();
    for (const auto& heads : s.eigenvalues) {
      layers.push_back(json::array());
      for (const auto& values : heads) {
        json flat = json::array();
        for (const std::complex<double>& value : values) {
          flat.push_back(value.real());
          flat.push_back(value.imag());
        }
        layers.back().push_back(flat);
      }
    }
    spectra.push_back({{"step", s.step}, {"layers", layers}});
  }
  json& arrays = whole["arrays"] = json::array();
  for (const RunResult::Array& a : r.arrays) {
    const int digits = a.name.ends_with(".map") ? 2 : 4;  // a map is to be looked at
    arrays.push_back(
        {{"name", a.name}, {"step", a.step}, {"shape", a.shape}, {"values", numbers(a.values, digits)}});
  }
  std::string text;
  write(whole, "", text);
  return text + "\n";
}

RunResult result_from_json(const std::string& text, const std::string& path) {
  RunResult r;
  const auto refuse = [&](const std::string& what) {
    fail(path + ": " + what, "", "a result file of experiment", "it can be deleted: the run is done again");
  };
  try {
    const json whole = parse_json(text, path);
    if (whole.at("format") != format) fail(path + ": format", whole.at("format").dump(), format);
    r.plan = whole.at("plan");
    r.arm = whole.at("arm");
    r.seed = whole.at("seed");
    if (whole.at("state") == "failed") {
      r.failure = whole.at("failure");
      if (r.failure.empty()) refuse("a failed run that does not say why");
    }
    r.steps = whole.at("steps");
    r.windows = whole.value("windows", Index{0});
    r.warnings = whole.value("warnings", std::vector<std::string>{});
    if (r.windows < 0) refuse("windows below 0");
    if (whole.contains("figures")) {
      for (const auto& [name, value] : whole["figures"].items()) r.figures[name] = number_of(value);
    }
    r.version = whole.at("version");
    r.sources = whole.value("sources", "");
    r.data_fingerprint = whole.at("data-fingerprint");
    r.parameters = number_of(whole.at("parameters"));
    r.vocabulary = number_of(whole.at("vocabulary"));
    r.processor = whole.at("processor");
    r.cores = whole.at("cores");
    r.compiler = whole.at("compiler");
    r.blas = whole.value("blas", "");
    r.kernel = whole.value("kernel", "");
    r.build = whole.value("build", "");
    r.cpu_seconds = number_of(whole.at("seconds").at("cpu"));
    r.wall_seconds = number_of(whole.at("seconds").at("wall"));
    r.timed_steps = whole.at("seconds").at("steps");
    Config config;
    const FieldList known = fields(config);
    for (const auto& [name, value] : whole.at("options").items()) {
      std::string& option = r.options[name] = value.is_string() ? value.get<std::string>() : value.dump();
      for (const Field& field : known.list) {
        if (field.name != name) continue;
        try {
          field.set(option);
        } catch (const Error& error) {
          refuse(std::string("options: ") + error.what());
        }
        option = field.get();  // one spelling of each number
      }
    }
    for (const json& c : whole.at("curves")) {
      Curve curve{c.at("name"), c.value("layer", Index{-1}), c.at("steps"), {}};
      for (const json& value : c.at("values")) curve.values.push_back(number_of(value));
      if (curve.values.size() != curve.steps.size())
        refuse("curve " + curve.name + " has steps and values of different lengths");
      r.curves.push_back(std::move(curve));
    }
    for (const json& s : whole.at("eigenvalues")) {
      RunResult::Spectrum spectrum{s.at("step"), {}};
      for (const json& layer : s.at("layers")) {
        spectrum.eigenvalues.emplace_back();
        for (const json& head : layer) {
          spectrum.eigenvalues.back().emplace_back();
          for (std::size_t i = 0; i + 1 < head.size(); i += 2)
            spectrum.eigenvalues.back().back().emplace_back(number_of(head[i]), number_of(head[i + 1]));
        }
      }
      r.spectra.push_back(std::move(spectrum));
      if (!same_heads(r.spectra.front(), r.spectra.back()))
        refuse("eigenvalues of different layers or heads at different steps");
    }
    for (const json& a : whole.at("arrays")) {
      RunResult::Array array{a.at("name"), a.at("step"), a.at("shape"), {}};
      for (const json& value : a.at("values")) array.values.push_back(number_of(value));
      constexpr Index most = array_numbers;
      Index size = 1;
      for (const Index n : array.shape)
        size = size < 0 || n < 0 || n > most || size * n > most ? -1 : size * n;
      if (size != std::ssize(array.values))
        refuse("array " + array.name + " has values that its shape does not");
      r.arrays.push_back(std::move(array));
    }
    derive_figures(r);
  } catch (const json::exception& error) {
    refuse(error.what());
  }
  return r;
}

std::string results_folder(const Plan& plan, const std::string& results) {
  if (!results.empty()) return results + "/" + plan.name;
  const fs::path beside = fs::path(plan.path).parent_path();
  return (beside / "results" / plan.name).string();
}

std::map<std::string, std::string> options_of(const Config& config) {
  Config copy = config;
  std::map<std::string, std::string> options;
  for (const Field& field : fields(copy).list) {
    if (field.name != "name" && field.name != "runs") options[field.name] = field.get();
  }
  return options;
}

void check_same_options(const std::map<std::string, std::string>& got, const Config& planned,
                        const std::string& path) {
  const auto differs = [&](const std::string& name, const std::string& had, const std::string& wanted) {
    fail(path + ": --" + name, had, wanted + " as the plan says now",
         "give the plan a new name, or move this away to run it anew");
  };
  const Config defaulted;
  const std::map<std::string, std::string> wanted = options_of(planned), defaults = options_of(defaulted);
  for (const auto& [name, text] : wanted) {
    // An option that is younger than the file had its default.
    const auto found = got.find(name);
    const std::string& had = found == got.end() ? defaults.at(name) : found->second;
    if (had != text) differs(name, had, text);
  }
  for (const auto& [name, text] : got) {
    if (!wanted.contains(name) && !is_former_option(name)) differs(name, text, "no such option");
  }
}

std::vector<RunResult> load_results(const Plan& plan, const std::string& results) {
  const std::string folder = results_folder(plan, results);
  std::vector<RunResult> all;
  std::map<std::string, std::pair<std::string, std::string>>
      fingerprints;  // of data: with the first file's path
  for (const std::uint64_t seed : plan.seeds) {
    for (const Arm& arm : plan.arms) {
      const std::string path = folder + "/" + result_name(arm.name, seed) + ".json";
      if (!fs::exists(path)) continue;
      RunResult result = result_from_json(read_file(path), path);
      if (result.plan != plan.name || result.arm != arm.name || result.seed != seed)
        fail(path,
             "plan '" + result.plan + "', arm '" + result.arm + "', seed " + std::to_string(result.seed),
             "plan '" + plan.name + "', arm '" + arm.name + "', seed " + std::to_string(seed),
             "was the file renamed?");
      Config config = arm.config;
      config.seed = seed;
      check_same_options(result.options, config, path);
      const auto& [print, first] =
          fingerprints.try_emplace(data_name(config), result.data_fingerprint, path).first->second;
      if (print != result.data_fingerprint)
        fail(path + ": fingerprint of the data " + config.data, result.data_fingerprint,
             print + " as in " + first, "the runs saw different text");
      all.push_back(std::move(result));
    }
  }
  return all;
}

}  // namespace ef
