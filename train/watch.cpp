#include "train/watch.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>

#include "engine/error.h"
#include "train/npy.h"

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
    result.emplace_back(layer, key == "largest" ? sum.largest : sum.total / sum.count);
  }
  return result;
}

Watch::Watch(const Config& config, const RunFolder& run, const ValidationWindows& windows, LineLog& metrics,
             Live& live)
    : run_(run), every_(config.every), metrics_(metrics), live_(live) {
  if (!config.probe.empty()) probes_ = probes_matching(config.probe);
  windows.fill(batch_, 0, config.probe_sequences);
  if (!probes_.empty()) make_folder(run.file("probes"));
  // A resumed run: the alarms hear again what they heard before.
  std::vector<Record> together;  // the lines of one probe at one step
  const auto flush = [&] {
    if (together.empty()) return;
    for (const auto& [key, unused] : together.front().values) {
      for (const auto& [layer, value] : by_layer(together, key)) {
        alarms_.feed(together.front().label("probe"), key, layer, value);
      }
    }
    together.clear();
  };
  for (const Record& record : read_metrics(run.file("metrics.jsonl"))) {
    const bool same = !together.empty() && together.front().step == record.step &&
                      together.front().label("probe") == record.label("probe");
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
  trainer.observe(probes_, batch_);
}

void Watch::read(Trainer& trainer, Index done) {
  const std::vector<Reading> readings = trainer.observe(probes_, batch_);
  std::map<std::string, double> summary;
  for (std::size_t i = 0; i < probes_.size(); ++i) {
    const std::string& name = probes_[i].name;
    // The scalars of one layer, head and tensor share a line.
    std::vector<Record> records;
    for (const Reading::Scalar& s : readings[i].scalars) {
      const bool joins = !records.empty() && records.back().layer == s.layer &&
                         records.back().head == s.head && records.back().label("tensor") == s.tensor;
      if (!joins) {
        records.push_back({done, {{"split", "valid"}, {"probe", name}}, s.layer, s.head, {}});
        if (!s.tensor.empty()) records.back().labels.emplace_back("tensor", s.tensor);
      }
      records.back().values.emplace_back(s.key, s.value);
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
        summary[name + " " + key] = mean_of(records, key);
        for (const auto& [layer, value] : by_layer(records, key)) {
          for (const AlarmEvent& event : alarms_.feed(name, key, layer, value)) events.push_back(event);
        }
      }
    }
    report(done, events);
  }
  std::string note;
  const auto show = [&](const char* label, const char* key) {
    const auto found = summary.find(key);
    if (found == summary.end()) return;
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

void Watch::validated(Index done, const Evaluation& e) {
  report(done, alarms_.feed_validation(e.loss(), e.floor()));
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
