#include "train/watch.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "engine/error.h"
#include "train/files/npy.h"

namespace ef {
namespace {

std::string fixed_width(double x, int width) {
  char text[48];
  if (std::isnan(x))
    std::snprintf(text, sizeof text, "%*s", width, "-");
  else
    std::snprintf(text, sizeof text, "%*.4g", width, x);
  return text;
}

double mean_of(const std::vector<Record>& records, const std::string& key) {
  double total = 0, count = 0;
  for (const Record& record : records) {
    const double value = record.value(key);
    if (std::isnan(value)) continue;
    total += value;
    ++count;
  }
  return total / count;  // NaN if there is none
}

}  // namespace

std::vector<Record> read_metrics(const std::string& path) {
  std::vector<Record> records;
  if (!std::filesystem::exists(path)) return records;
  const std::string text = read_file(path);
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    records.push_back(Record::parse(std::string_view(text).substr(begin, end - begin)));
  }
  return records;
}

namespace {

template <class Better>
std::vector<Record> by_windows(const std::vector<Record>& records, Better better) {
  std::vector<Record> chosen;
  for (const Record& record : records) {
    const double windows = record.value("windows");
    if (!chosen.empty() && better(windows, chosen.back().value("windows"))) chosen.clear();
    if (chosen.empty() || !better(chosen.back().value("windows"), windows)) chosen.push_back(record);
  }
  return chosen;
}

}  // namespace

std::vector<Record> of_most_windows(const std::vector<Record>& records) {
  return by_windows(records, std::greater<>());
}
std::vector<Record> of_fewest_windows(const std::vector<Record>& records) {
  return by_windows(records, std::less<>());
}

bool is_reading(const std::string& key) { return key != "windows" && !key.ends_with(".se"); }

std::vector<std::pair<Index, double>> by_layer(const std::vector<Record>& records, const std::string& key) {
  struct Sum {
    double total = 0, count = 0, largest = 0;
  };
  std::map<Index, Sum> layers;
  for (const Record& record : records) {
    const double value = record.value(key);
    if (std::isnan(value)) continue;
    Sum& sum = layers[record.layer];
    sum.total += value;
    sum.largest = std::max(sum.count > 0 ? sum.largest : value, value);
    ++sum.count;
  }
  std::vector<std::pair<Index, double>> result;
  for (const auto& [layer, sum] : layers) {
    result.emplace_back(layer, is_largest(key) ? sum.largest : sum.total / sum.count);
  }
  return result;
}

Watch::Watch(const Config& config, const RunFolder& run, const ValidationWindows& windows, LineLog& metrics,
             Live& live)
    : run_(run), every_(config.every), all_(windows.windows()), metrics_(metrics), live_(live) {
  if (!config.probe.empty()) probes_ = probes_matching(config.probe);
  windows.fill_spread(few_, config.probe_sequences);
  windows.fill_spread(many_, probe_windows(config, windows.windows()));
  if (!probes_.empty()) make_folder(run.file("probes"));
  // A resumed run: the alarms hear again what they heard before.
  std::vector<Record> together;  // the lines of one probe at one step
  const auto flush = [&] {
    if (together.empty()) return;
    for (const auto& [key, unused] : together.front().values) {
      if (!is_reading(key)) continue;
      for (const auto& [layer, value] : by_layer(together, key)) {
        alarms_.feed(together.front().label("probe"), key, layer, value);
      }
    }
    together.clear();
  };
  for (const Record& record : read_metrics(run.file("metrics.jsonl"))) {
    const bool same = !together.empty() && together.front().step == record.step &&
                      together.front().label("probe") == record.label("probe") &&
                      std::isnan(together.front().value("windows")) == std::isnan(record.value("windows")) &&
                      !(together.front().value("windows") != record.value("windows"));
    if (!same) flush();
    if (!record.label("probe").empty())
      together.push_back(record);
    else if (record.label("split") == "valid")
      alarms_.feed_validation(record.value("loss"), record.value("floor"));
  }
  flush();
}

void Watch::report(Index done, const std::vector<AlarmEvent>& events) {
  for (const AlarmEvent& e : events) {
    Record record{done, {{"alarm", e.alarm}, {"state", e.on ? "on" : "off"}}, e.layer, -1, {}};
    record.values = {{"value", e.value}, {"threshold", e.threshold}};
    metrics_.line(record.line());
    live_.print("step " + std::to_string(done) + "  " + Alarms::text(e));
  }
}

void Watch::rehearse(Trainer& trainer) const {
  if (probes_.empty()) return;
  trainer.keep_values();
  trainer.observe(probes_, few_);
}

std::string Watch::describe() const {
  if (probes_.empty()) return "";
  return std::to_string(few_.sequences) + " of " + std::to_string(all_) + " windows of held-out text every " +
         std::to_string(every_) + " updates, " + std::to_string(many_.sequences) + " at each validation";
}

void Watch::read(Trainer& trainer, Index done, const std::vector<Probe>& probes, const Batch& windows) {
  const std::vector<Reading> readings = trainer.observe(probes, windows);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    const std::string& name = probes[i].name;
    for (const std::string& missing : readings[i].missing)
      if (told_.insert(name + missing).second) live_.print("note: " + name + ": " + missing);
    // The scalars of one layer, head and tensor share a line.
    std::vector<Record> records;
    for (const Reading::Scalar& s : readings[i].scalars) {
      auto line = std::find_if(records.begin(), records.end(), [&](const Record& record) {
        return record.layer == s.layer && record.head == s.head && record.label("tensor") == s.tensor;
      });
      if (line == records.end()) {
        line = records.insert(line, {done, {{"split", "valid"}, {"probe", name}}, s.layer, s.head, {}});
        if (!s.tensor.empty()) line->labels.emplace_back("tensor", s.tensor);
        if (readings[i].windows > 0)
          line->values.emplace_back("windows", static_cast<double>(readings[i].windows));
      }
      line->values.emplace_back(s.key, s.value);
      if (!std::isnan(s.error)) line->values.emplace_back(s.key + ".se", s.error);
    }
    for (const Record& record : records) metrics_.line(record.line());
    for (const Reading::Array& array : readings[i].arrays) {
      char step[16];
      std::snprintf(step, sizeof step, "%08td", done);
      write_npy(run_.file("probes/" + name + "." + array.key + "." + step + ".npy"), array.shape,
                array.values);
    }
    std::vector<AlarmEvent> events;
    if (!records.empty()) {
      for (const auto& [key, first] : records.front().values) {
        if (!is_reading(key)) continue;
        latest_[name + " " + key] = mean_of(records, key);
        for (const auto& [layer, value] : by_layer(records, key)) {
          for (const AlarmEvent& event : alarms_.feed(name, key, layer, value)) events.push_back(event);
        }
      }
    }
    report(done, events);
  }
  std::string note;
  const auto show = [&](const char* label, const char* key) {
    const auto found = latest_.find(key);
    if (found == latest_.end()) return;
    char text[48];
    std::snprintf(text, sizeof text, "  %s %.3g", label, found->second);
    note += text;
  };
  show("entropy", "attn.entropy normalised");
  show("tr", "qk.spectrum trace");
  show("|W|^2", "qk.spectrum frobenius_square");
  show("rank", "resid.rank frobenius");
  live_.note(note);
}

void Watch::validated(Trainer& trainer, Index done, const Evaluation& e) {
  report(done, alarms_.feed_validation(e.loss(), e.floor()));
  // What weights say does not depend on windows: it is not read twice.
  std::vector<Probe> probes;
  for (const Probe& probe : probes_)
    if (probe.read_text || !due(done)) probes.push_back(probe);
  if (!probes.empty()) read(trainer, done, probes, many_);
}

std::string comparison(const std::vector<std::string>& run_folders) {
  struct Row {
    const char *what, *probe, *key;
  };
  const Row rows[] = {
      {"validation loss, nats", "", "loss"},
      {"excess over the floor", "", "excess"},
      {"attention entropy, normalised", "attn.entropy", "normalised"},
      {"trace of W", "qk.spectrum", "trace"},
      {"scale ||W||_F^2", "qk.spectrum", "frobenius_square"},
      {"localisation tr W / sqrt(k ||W||_F^2)", "qk.spectrum", "localisation"},
      {"largest |eigenvalue|", "qk.spectrum", "radius"},
      {"rank residual", "resid.rank", "frobenius"},
      {"token cosine", "resid.cosine", "mean"},
      {"validation windows read by probes", "attn.entropy", "windows"},
  };
  std::vector<std::vector<Record>> metrics;
  std::string text = "                                      ";
  for (const std::string& folder : run_folders) {
    metrics.push_back(read_metrics(folder + "/metrics.jsonl"));
    const std::string name = std::filesystem::path(folder).filename().string();
    text += "  " + std::string(name.size() < 16 ? 16 - name.size() : 0, ' ') + name;
  }
  text += "\n";
  for (const Row& row : rows) {
    std::string line = row.what;
    line.resize(38, ' ');
    bool known = false;
    for (const std::vector<Record>& records : metrics) {
      std::vector<Record> last;  // what was said at the last step that said it
      for (const Record& record : records) {
        if (record.label("probe") != row.probe || (!*row.probe && record.label("split") != "valid")) continue;
        if (!last.empty() && last.back().step != record.step) last.clear();
        last.push_back(record);
      }
      const std::string key = row.key;
      last = of_most_windows(last);
      const double value =
          key == "excess" ? mean_of(last, "loss") - mean_of(last, "floor") : mean_of(last, key);
      known = known || !std::isnan(value);
      line += "  " + fixed_width(value, 16);
    }
    if (known) text += line + "\n";
  }
  return text;
}

}  // namespace ef
