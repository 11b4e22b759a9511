#include "train/watch.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "engine/error.h"
#include "train/files/npy.h"
#include "train/quantities.h"

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

// Of these numbers, those that are known: their mean, or the largest.
class Join {
 public:
  void add(double value) {
    if (std::isnan(value)) return;
    total_ += value;
    largest_ = count_ > 0 ? std::max(largest_, value) : value;
    ++count_;
  }
  // NaN if there is none.
  double as(Quantity::Joined joined) const {
    return joined == Quantity::Joined::largest && count_ > 0 ? largest_ : total_ / count_;
  }

 private:
  double total_ = 0, count_ = 0, largest_ = 0;
};

Quantity::Joined joined(const std::vector<Record>& records, const std::string& key) {
  return records.empty() ? Quantity::Joined::mean : quantity_of(records[0].label("probe"), key).joined;
}

// A table's column: so many letters, which may have more bytes.
std::string padded(std::string text, std::size_t width) {
  const auto begins = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  std::size_t letters = 0, at = 0;
  for (; at < text.size(); ++at)
    if (begins(text[at]) && ++letters > width) break;
  text.resize(at);
  return letters < width ? text + std::string(width - letters, ' ') : text;
}

}  // namespace

double over_all(const std::vector<Record>& records, const std::string& key) {
  Join all;
  for (const Record& record : records) all.add(record.value(key));
  return all.as(joined(records, key));
}

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
  std::map<Index, Join> layers;
  for (const Record& record : records)
    if (!std::isnan(record.value(key))) layers[record.layer].add(record.value(key));
  std::vector<std::pair<Index, double>> result;
  for (const auto& [layer, join] : layers) result.emplace_back(layer, join.as(joined(records, key)));
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
    for (const Reading::Scalar& s : readings[i].scalars)
      if (!probes[i].quantities.empty() && !probes[i].declared(s.key) && told_.insert(name + s.key).second)
        live_.print("note: " + name + ": adds " + s.key + ", which it does not declare");
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
        latest_[{name, key}] = over_all(records, key);
        for (const auto& [layer, value] : by_layer(records, key)) {
          for (const AlarmEvent& event : alarms_.feed(name, key, layer, value)) events.push_back(event);
        }
      }
    }
    report(done, events);
  }
  live_.note(note());
}

std::string Watch::note() const {
  std::set<std::pair<std::string, std::string>> read;
  for (const auto& [name, value] : latest_) read.insert(name);
  std::string note;
  for (const auto& [probe, quantity] : in_order(read)) {
    if (quantity.live.empty()) continue;
    char number[32];
    std::snprintf(number, sizeof number, " %.3g", latest_.at({probe, quantity.key}));
    note += "  " + quantity.live + number;
  }
  return note;
}

void Watch::validated(Trainer& trainer, Index done, const Evaluation& e) {
  report(done, alarms_.feed_validation(e.loss(), e.floor()));
  // What weights say does not depend on windows: it is not read twice.
  std::vector<Probe> probes;
  for (const Probe& probe : probes_)
    if (probe.read_text || !due(done)) probes.push_back(probe);
  if (!probes.empty()) read(trainer, done, probes, many_);
}

namespace {

// What was said at the last step that said it, from the most windows.
template <class Said>
std::vector<Record> said_last(const std::vector<Record>& records, const Said& said) {
  std::vector<Record> last;
  for (const Record& record : records) {
    if (!said(record)) continue;
    if (!last.empty() && last.back().step != record.step) last.clear();
    last.push_back(record);
  }
  return of_most_windows(last);
}

std::vector<Record> validated_last(const std::vector<Record>& records) {
  return said_last(records, [](const Record& record) {
    return record.label("probe").empty() && record.label("alarm").empty() && record.label("split") == "valid";
  });
}

// Of the loop's quantities, by full name, those that a validation measures.
double at_validation(const std::vector<Record>& last, const std::string& name) {
  if (name == "valid.excess") return over_all(last, "loss") - over_all(last, "floor");
  return over_all(last, name.substr(name.find('.') + 1));
}

}  // namespace

Comparison compare_runs(const std::vector<std::string>& run_folders) {
  // "runs/story/" has no last name; its parent has.
  const auto name_of = [](const std::string& folder) {
    const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
    return (path.has_filename() ? path : path.parent_path()).filename().string();
  };
  Comparison result;
  std::vector<std::vector<Record>> metrics;
  std::set<std::pair<std::string, std::string>> read;
  for (const std::string& folder : run_folders) {
    metrics.push_back(read_metrics(folder + "/metrics.jsonl"));
    // Runs of one name are told apart by their folders.
    const bool alone = std::count_if(run_folders.begin(), run_folders.end(), [&](const std::string& other) {
                         return name_of(other) == name_of(folder);
                       }) == 1;
    result.names.push_back(alone ? name_of(folder) : folder);
    for (const Record& record : metrics.back()) {
      if (record.label("probe").empty()) continue;
      for (const auto& [key, value] : record.values)
        if (is_reading(key)) read.insert({record.label("probe"), key});
    }
  }
  const auto add = [&](const std::string& what, const auto& value_of) {
    Comparison::Row row{what, {}};
    for (const std::vector<Record>& records : metrics) row.values.push_back(value_of(records));
    const bool known =
        std::any_of(row.values.begin(), row.values.end(), [](double value) { return !std::isnan(value); });
    if (known) result.rows.push_back(std::move(row));
  };
  for (const Quantity& quantity : loop_quantities()) {
    if (quantity.detail) continue;
    add(row_text(quantity), [&](const std::vector<Record>& records) {
      return at_validation(validated_last(records), quantity.key);
    });
  }
  for (const auto& [probe, quantity] : in_order(read)) {
    if (quantity.detail) continue;
    add(row_text(quantity), [&](const std::vector<Record>& records) {
      const auto said = [&](const Record& record) { return record.label("probe") == probe; };
      return over_all(said_last(records, said), quantity.key);
    });
  }
  add("validation windows read by probes", [](const std::vector<Record>& records) {
    const auto said = [](const Record& record) { return !std::isnan(record.value("windows")); };
    return over_all(said_last(records, said), "windows");
  });
  return result;
}

std::string comparison(const std::vector<std::string>& run_folders) {
  const Comparison compared = compare_runs(run_folders);
  std::string text(38, ' ');
  for (const std::string& name : compared.names)
    text += "  " + std::string(name.size() < 16 ? 16 - name.size() : 0, ' ') + name;
  text += "\n";
  for (const Comparison::Row& row : compared.rows) {
    text += padded(row.label, 38);
    // Below the end of its name, which may be long.
    for (std::size_t i = 0; i < row.values.size(); ++i)
      text += "  " + fixed_width(row.values[i], std::max(16, static_cast<int>(compared.names[i].size())));
    text += "\n";
  }
  return text;
}

std::string list_of_probes() {
  const std::vector<Probe> probes = probes_matching("*");
  std::size_t width = 0, keys = 0;
  for (const Probe& probe : probes) {
    width = std::max(width, probe.name.size());
    for (const Quantity& quantity : probe.quantities) keys = std::max(keys, quantity.key.size());
  }
  std::string text;
  for (const Probe& probe : probes) {
    text += padded(probe.name, width) + "  " +
            padded(probe.shape, std::max<std::size_t>(16, probe.shape.size())) + "  " + probe.meaning + "\n";
    for (const Quantity& declared : probe.quantities) {
      const Quantity quantity = quantity_of(probe.name, declared.key);
      text += "  " + padded(quantity.key, keys) + "  " + quantity.title;
      if (const std::string axis = axis_text(quantity); !axis.empty()) text += " (" + axis + ")";
      if (quantity.alarm) {
        char threshold[32];
        std::snprintf(threshold, sizeof threshold, " %s %g", quantity.alarm->below() ? "below" : "above",
                      quantity.alarm->on);
        text += "; alarm: " + quantity.alarm->name + threshold;
      }
      text += "\n";
    }
  }
  return text;
}

}  // namespace ef
