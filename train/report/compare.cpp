#include "train/report/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/error.h"
#include "train/files/files.h"
#include "train/quantities.h"
#include "train/watch.h"

namespace ef {
namespace {

using json = nlohmann::ordered_json;  // options have the order of the file

const std::string none = "–";

json config_of(const std::string& folder) {
  const std::string path = folder + "/config.json";
  json config = json::parse(read_file(path), nullptr, false);
  if (!config.is_object()) fail(path, "text that is not a JSON object", "a run's configuration");
  return config;
}

std::string in_words(const json& config, const std::string& key) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return none;
  return found->is_string() ? found->get<std::string>() : found->dump();
}

// Letters, of which some have more bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string aligned_right(const std::string& text, std::size_t width) {
  const std::size_t letters = width_of(text);
  return std::string(letters < width ? width - letters : 0, ' ') + text;
}

// ---- Curves

// Eight colours; then they come again with dashes, then thin.
Series line_of_run(std::size_t run, const std::string& name) {
  static constexpr Series::Look looks[] = {Series::Look::line, Series::Look::dashed, Series::Look::thin};
  return {name, 1 + static_cast<int>(run % 8), looks[run / 8 % 3], {}};
}
constexpr std::size_t most_runs = 24;

// A quantity of the loop over a run: "valid.loss" is `loss` in lines of the split valid.
std::vector<ChartPoint> loop_curve(const std::vector<Record>& records, const std::string& name) {
  const std::string split = name.substr(0, name.find('.')), key = name.substr(name.find('.') + 1);
  std::vector<ChartPoint> points;
  for (const Record& record : records) {
    const bool of_loop = record.label("probe").empty() && record.label("alarm").empty();
    if (!of_loop || record.label("split") != split) continue;
    const double value = key == "excess" ? record.value("loss") - record.value("floor") : record.value(key);
    if (std::isfinite(value)) points.push_back({static_cast<double>(record.step), value});
  }
  // Of single batches only the course can be compared.
  return split == "train" ? smooth(points, points.size() / 80) : points;
}

// What a probe read over a run, over all layers and heads, of the windows that are the same at all steps.
std::vector<ChartPoint> probe_curve(const std::vector<Record>& records, const std::string& probe,
                                    const std::string& key) {
  std::map<Index, std::vector<Record>> by_step;
  for (const Record& record : records)
    if (record.label("probe") == probe && !std::isnan(record.value(key)))
      by_step[record.step].push_back(record);
  std::vector<ChartPoint> points;
  for (const auto& [step, read] : by_step)
    points.push_back({static_cast<double>(step), over_all(of_fewest_windows(read), key)});
  return points;
}

// Whether all are positive and span decades.
bool better_logarithmic(const LineChart& chart, double ratio) {
  double least = HUGE_VAL, greatest = 0;
  for (const Series& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      least = std::min(least, point.y);
      greatest = std::max(greatest, point.y);
    }
  }
  return least > 1e-29 && greatest > ratio * least;
}

template <class Curve>
LineChart chart_of(const Quantity& quantity, const std::vector<std::string>& names,
                   const std::vector<std::vector<Record>>& metrics, const Curve& curve) {
  LineChart chart{
      .title = quantity.title, .y_label = axis_text(quantity), .low = quantity.low, .high = quantity.high};
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    Series series = line_of_run(i, names[i]);
    series.points = curve(metrics[i]);
    if (series.look == Series::Look::line && series.points.size() <= 40) series.look = Series::Look::dots;
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  chart.logarithmic = quantity.scale == Quantity::Scale::automatic
                          ? better_logarithmic(chart, quantity.low ? 20 : 6)
                          : quantity.scale == Quantity::Scale::logarithmic && better_logarithmic(chart, 1);
  return chart;
}

std::vector<LineChart> charts_of(const std::vector<std::string>& names,
                                 const std::vector<std::vector<Record>>& metrics) {
  std::vector<LineChart> charts;
  for (const Quantity& quantity : loop_quantities()) {
    const bool training = quantity.key == "train.loss" || quantity.key == "train.smoothed_loss";
    if (quantity.detail && !training) continue;
    charts.push_back(chart_of(quantity, names, metrics, [&](const std::vector<Record>& records) {
      return loop_curve(records, quantity.key);
    }));
    if (training) charts.back().note = "Running means of batches.";
  }
  std::set<std::pair<std::string, std::string>> read;
  for (const std::vector<Record>& records : metrics)
    for (const Record& record : records)
      for (const auto& [key, value] : record.values)
        if (!record.label("probe").empty() && is_reading(key)) read.insert({record.label("probe"), key});
  for (const auto& [probe, quantity] : in_order(read)) {
    if (quantity.detail) continue;
    charts.push_back(
        chart_of(quantity, names, metrics, [&, &name = probe, &key = quantity.key](const auto& records) {
          return probe_curve(records, name, key);
        }));
  }
  std::erase_if(charts, [](const LineChart& chart) { return chart.series.empty(); });
  return charts;
}

}  // namespace

std::vector<Difference> differences(const std::vector<std::string>& run_folders) {
  std::vector<json> configs;
  std::vector<std::string> keys;  // in the order of the first run; then what others have besides
  for (const std::string& folder : run_folders) {
    configs.push_back(config_of(folder));
    for (const auto& [key, value] : configs.back().items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  std::vector<Difference> list;
  for (const std::string& key : keys) {
    if (key == "name" || key == "runs") continue;
    Difference one{key, {}};
    for (const json& config : configs) one.values.push_back(in_words(config, key));
    const bool same = std::all_of(one.values.begin(), one.values.end(),
                                  [&](const std::string& value) { return value == one.values.front(); });
    if (!same) list.push_back(std::move(one));
  }
  return list;
}

std::string comparison_text(const std::vector<std::string>& run_folders) {
  const std::vector<std::string> names = compare_runs(run_folders).names;
  const std::vector<Difference> differing = differences(run_folders);
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < names.size(); ++i) {
    widths.push_back(std::max<std::size_t>(16, width_of(names[i])));
    for (const Difference& one : differing) widths[i] = std::max(widths[i], width_of(one.values[i]));
  }
  std::string text;
  const auto add = [&](const std::string& label, const std::vector<std::string>& values) {
    text += label + std::string(label.size() < 38 ? 38 - label.size() : 0, ' ');
    for (std::size_t i = 0; i < values.size(); ++i) text += "  " + aligned_right(values[i], widths[i]);
    text += "\n";
  };
  if (!differing.empty()) {
    add("what differs", names);
    for (const Difference& one : differing) add(one.name, one.values);
    text += "\n";
  }
  return text + comparison(run_folders);
}

Page comparison_page(const std::vector<std::string>& run_folders) {
  if (run_folders.empty() || run_folders.size() > most_runs)
    fail("runs to compare", std::to_string(run_folders.size()), "1 to " + std::to_string(most_runs));
  const Comparison compared = compare_runs(run_folders);
  std::vector<std::vector<Record>> metrics;
  for (const std::string& folder : run_folders) metrics.push_back(read_metrics(folder + "/metrics.jsonl"));

  Page page{.title = "Runs compared", .lead = enumeration(compared.names)};
  const auto names_of_columns = [&](Table& table, bool numbers) {
    table.columns.push_back({""});
    for (std::size_t i = 0; i < compared.names.size(); ++i)
      table.columns.push_back({compared.names[i], numbers, run_folders[i]});
    table.sortable = false;  // a column is a run
  };

  Section ends{"Final numbers", {}};
  Table numbers{.caption =
                    "Read last; of probes the mean over layers and heads, of largest values the largest"};
  names_of_columns(numbers, true);
  for (const Comparison::Row& row : compared.rows) {
    std::vector<Cell> cells = {Cell(row.label)};
    for (const double value : row.values) cells.push_back(Cell::number(value));
    numbers.rows.push_back(std::move(cells));
  }
  if (numbers.rows.empty())
    ends.contents.push_back(prose("Nothing has been measured yet."));
  else
    ends.contents.push_back(show(numbers));
  page.sections.push_back(std::move(ends));

  Section options{"What differs", {}};
  Table table{.caption = "Options, and facts of `config.json`"};
  names_of_columns(table, false);
  for (const Difference& one : differences(run_folders)) {
    std::vector<Cell> cells = {Cell(one.name)};
    cells.insert(cells.end(), one.values.begin(), one.values.end());
    table.rows.push_back(std::move(cells));
  }
  if (table.rows.empty())
    options.contents.push_back(prose("All options are the same."));
  else
    options.contents.push_back(show(table));
  page.sections.push_back(std::move(options));

  std::vector<LineChart> charts = charts_of(compared.names, metrics);
  if (charts.empty()) return page;
  Section curves{"Curves", {}};
  curves.contents.push_back(draw(charts.front()));
  std::vector<Figure> others;
  for (std::size_t i = 1; i < charts.size(); ++i) {
    charts[i].width = 430;
    charts[i].height = 210;
    others.push_back(draw(charts[i]));
  }
  if (!others.empty()) curves.contents.push_back(Content(std::move(others), true));
  page.sections.push_back(std::move(curves));
  return page;
}

}  // namespace ef
