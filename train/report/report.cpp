#include "train/report/report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/error.h"
#include "train/files/files.h"
#include "train/report/arrays.h"

namespace ef {
namespace {

using json = nlohmann::ordered_json;  // the config's table has the order of its file

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// A quantity that probes read: for each layer, by step, the sum over heads and their number. At a validation
// a step has two readings: a curve goes through those of few windows, which are the same at all steps.
struct Sum {
  double total = 0, count = 0, windows = missing;
};
using ByLayer = std::map<int, std::map<double, Sum>>;

struct Alarm {
  double step = missing;
  std::string name, state;
  double layer = missing, value = missing, threshold = missing;
};

// What metrics.jsonl says, by step. A number that is absent or null is NaN.
struct Metrics {
  std::vector<ChartPoint> train_loss, train_floor, learning_rate, gradient_norm;
  std::vector<ChartPoint> valid_loss, valid_floor, perplexity;
  bool smoothed = false;                  // train_loss has label smoothing in it
  std::map<std::string, ByLayer> probes;  // by probe and key, as in "attn.entropy normalised"
  bool probed = false;
  double few = missing, many = missing;  // windows that probes read, at least and at most
  std::vector<Alarm> alarms;
  double last_step = missing;
  int unreadable = 0;  // lines
};

struct Run {
  std::string folder, name;
  json config;
  Metrics metrics;
  std::string sample;
};

double number(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : missing;
}

std::string word(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string read_if_there(const std::string& path) {
  return std::filesystem::exists(path) ? read_file(path) : "";
}

// The quantities that the page draws, a line a layer.
struct Drawn {
  const char *probe, *key, *title, *y_label;
};
constexpr Drawn drawn[] = {
    {"attn.entropy", "normalised", "Attention entropy", "normalised: 1 is uniform, 0 one-hot"},
    {"qk.spectrum", "trace", "Trace of W", "W = W_Q W_Kᵀ of a head"},
    {"qk.spectrum", "frobenius_square", "Scale of W", "‖W‖_F²"},
    {"resid.rank", "frobenius", "Rank residual", "0: all tokens are alike"},
};

std::string name_of(const Drawn& what) { return std::string(what.probe) + ' ' + what.key; }

void add_probe(Metrics& m, double step, const std::string& probe, const json& object) {
  m.probed = true;
  const double read = number(object, "windows");
  m.few = std::fmin(m.few, read);  // fmin and fmax pass over what is missing
  m.many = std::fmax(m.many, read);
  const double layer = number(object, "layer");
  if (!(layer >= 0 && layer < 10'000)) return;
  for (const Drawn& what : drawn) {
    if (probe != what.probe || !object.contains(what.key)) continue;
    Sum& sum = m.probes[name_of(what)][static_cast<int>(layer)][step];
    const double value = number(object, what.key), windows = number(object, "windows");
    if (!std::isfinite(value)) continue;  // where all heads are so, the line has a gap
    if (windows > sum.windows) continue;
    if (windows < sum.windows) sum = {};
    sum.windows = windows;
    sum.total += value;
    ++sum.count;
  }
}

Metrics parse_metrics(const std::string& text) {
  Metrics m;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.empty()) continue;
    const json object = json::parse(line, nullptr, false);
    const double step = object.is_object() ? number(object, "step") : missing;
    if (!std::isfinite(step)) {
      ++m.unreadable;
      continue;
    }
    m.last_step = std::isnan(m.last_step) ? step : std::max(m.last_step, step);
    if (const std::string alarm = word(object, "alarm"); !alarm.empty()) {
      m.alarms.push_back({step, alarm, word(object, "state"), number(object, "layer"),
                          number(object, "value"), number(object, "threshold")});
      continue;
    }
    if (const std::string probe = word(object, "probe"); !probe.empty()) {
      add_probe(m, step, probe, object);
      continue;
    }
    const std::string split = word(object, "split");
    const bool valid = split == "valid";
    if (!valid && split != "train") continue;  // a split of later versions
    const auto add = [&](std::vector<ChartPoint>& points, const char* key) {
      points.push_back({step, number(object, key)});
    };
    const bool smoothed = !valid && object.contains("smoothed_loss");
    m.smoothed = m.smoothed || smoothed;
    add(valid ? m.valid_loss : m.train_loss, smoothed ? "smoothed_loss" : "loss");
    add(valid ? m.valid_floor : m.train_floor, "floor");
    if (valid) {
      add(m.perplexity, "perplexity");
    } else {
      add(m.learning_rate, "learning_rate");
      add(m.gradient_norm, "gradient_norm");
    }
  }
  return m;
}

Run read_run(const std::string& folder) {
  Run run;
  run.folder = folder;
  run.config = json::parse(read_file(folder + "/config.json"), nullptr, false);
  if (!run.config.is_object())
    fail(folder + "/config.json", "text that is not a JSON object", "a run's configuration");
  run.metrics = parse_metrics(read_if_there(folder + "/metrics.jsonl"));
  run.sample = read_if_there(folder + "/sample.txt");

  run.name = word(run.config, "name");
  // "runs/story/" has no last name; its parent has.
  const std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  if (run.name.empty()) run.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  return run;
}

// The last finite value; NaN if there is none.
double last(const std::vector<ChartPoint>& points) {
  const auto found =
      std::find_if(points.rbegin(), points.rend(), [](const ChartPoint& p) { return std::isfinite(p.y); });
  return found == points.rend() ? missing : found->y;
}

// ---- Big numbers
// -------------------------------------------------------------------------------------------

// Few letters: "1,234", "12.4 M".
std::string compact(double value) {
  if (value >= 1e9) return fixed(value / 1e9, 2) + " G";
  if (value >= 1e6) return fixed(value / 1e6, 2) + " M";
  return grouped(value);
}

std::vector<BigNumber> big_numbers(const Run& run) {
  const Metrics& m = run.metrics;
  std::vector<BigNumber> figures;
  const double train = last(m.train_loss), valid = last(m.valid_loss), floor = last(m.valid_floor);
  if (std::isfinite(valid)) {
    std::string note = "nats per token";
    ChartPoint best{0, valid};
    for (const ChartPoint& p : m.valid_loss)
      if (p.y < best.y) best = p;
    if (best.y < valid) note = "best " + fixed(best.y, 4) + " at step " + grouped(best.x);
    figures.push_back({"Validation loss", fixed(valid, 4), note});
  }
  if (std::isfinite(train))
    figures.push_back({m.smoothed ? "Training loss with label smoothing" : "Training loss", fixed(train, 4),
                       "last batch, nats per token"});
  if (std::isfinite(floor)) {
    figures.push_back({"Floor", fixed(floor, 4), "no model can do better"});
    if (std::isfinite(valid))
      figures.push_back({"Excess", fixed(valid - floor, 4), "above the floor, in nats"});
  }
  const double perplexity = std::isfinite(last(m.perplexity)) ? last(m.perplexity) : std::exp(valid);
  if (std::isfinite(perplexity))
    figures.push_back(
        {"Perplexity", perplexity < 1000 ? fixed(perplexity, 2) : compact(perplexity), "on validation text"});
  if (std::isfinite(m.last_step)) {
    const double steps = number(run.config, "steps");
    figures.push_back({"Steps", grouped(m.last_step),
                       m.last_step < steps ? "of " + grouped(steps) : std::string("updates")});
  }
  const double parameters = number(run.config, "parameters");
  if (std::isfinite(parameters))
    figures.push_back({"Parameters", compact(parameters), parameters < 1e6 ? "" : grouped(parameters)});
  return figures;
}

// ---- Charts
// ------------------------------------------------------------------------------------------------

bool any_finite(const std::vector<ChartPoint>& points) {
  return std::any_of(points.begin(), points.end(), [](const ChartPoint& p) { return std::isfinite(p.y); });
}

void add_if_any(LineChart& chart, Series series) {
  if (any_finite(series.points)) chart.series.push_back(std::move(series));
}

// The floor of the validation text is one number, drawn from edge to edge; that of the training text changes
// from batch to batch, and is drawn only where there is no other.
std::vector<ChartPoint> floor_line(const Metrics& m) {
  if (!any_finite(m.valid_floor)) return smooth(m.train_floor, m.train_floor.size() / 40);
  std::vector<ChartPoint> points = smooth(m.valid_floor, 0);
  const double first = m.train_loss.empty() ? 0 : m.train_loss.front().x;
  if (first < points.front().x) points.insert(points.begin(), {first, points.front().y});
  if (m.last_step > points.back().x) points.push_back({m.last_step, points.back().y});
  return points;
}

// A quantity that shrinks or explodes by powers of ten is read on a logarithmic axis.
bool spans_decades(const std::vector<Series>& series, double ratio) {
  double least = std::numeric_limits<double>::infinity(), greatest = 0;
  for (const Series& s : series) {
    for (const ChartPoint& p : s.points) {
      if (p.y > 0) least = std::min(least, p.y);
      if (std::isfinite(p.y)) greatest = std::max(greatest, p.y);
    }
  }
  return greatest > ratio * least;
}

// Many points are drawn thin, with their running mean; a few are drawn as they are.
void add_with_mean(LineChart& chart, const std::string& label, int colour,
                   const std::vector<ChartPoint>& points) {
  const bool many = points.size() > 60;
  add_if_any(chart, {label, colour, many ? Series::Look::thin : Series::Look::line, points});
  if (many)
    add_if_any(chart, {label + ", smoothed", colour, Series::Look::line, smooth(points, points.size() / 80)});
}

// How far the validation loss is above its floor.
std::vector<ChartPoint> excess(const Metrics& m) {
  std::vector<ChartPoint> points = m.valid_loss;
  for (std::size_t i = 0; i < points.size(); ++i) points[i].y -= m.valid_floor[i].y;
  return points;
}

// Side by side, in rows of three or of two.
std::vector<Figure> small_multiples(std::vector<LineChart> charts) {
  std::vector<Figure> figures;
  for (LineChart& chart : charts) {
    chart.from_zero = !chart.logarithmic;
    chart.legend = chart.legend && chart.series.size() > 1;
    chart.width = charts.size() == 3 ? 280 : 430;
    chart.height = 210;
    figures.push_back(draw(chart));
  }
  return figures;
}

std::vector<Content> charts(const Metrics& m) {
  LineChart loss{.title = "Loss", .y_label = "nats per token"};
  add_with_mean(loss, m.smoothed ? "training loss with label smoothing" : "training batch", 1, m.train_loss);
  add_if_any(loss, {"validation", 2, Series::Look::dots, m.valid_loss});
  add_if_any(loss, {"floor", 0, Series::Look::dashed, floor_line(m)});
  loss.logarithmic = spans_decades(loss.series, 6);

  LineChart above{.title = "Excess", .y_label = "nats above the floor"};
  add_if_any(above, {"excess", 2, Series::Look::dots, excess(m)});
  above.logarithmic = spans_decades(above.series, 10);
  LineChart rate{.title = "Learning rate"};
  add_if_any(rate, {"learning rate", 3, Series::Look::line, m.learning_rate});
  LineChart norm{.title = "Gradient norm", .y_label = "before clipping"};
  add_with_mean(norm, "gradient norm", 4, m.gradient_norm);
  norm.logarithmic = spans_decades(norm.series, 10);

  std::vector<LineChart> small = {above, rate, norm};
  if (above.series.empty()) small.erase(small.begin());
  return {draw(loss), Content(small_multiples(small), false)};
}

// ---- Attention
// ---------------------------------------------------------------------------------------------

// Eight colours; where there are more layers, they come again with dashes, then thin.
Series line_of_layer(int layer) {
  static constexpr Series::Look looks[] = {Series::Look::line, Series::Look::dashed, Series::Look::thin};
  return {"layer " + std::to_string(layer), 1 + layer % 8, looks[layer / 8 % 3], {}};
}

// Means over heads.
std::vector<Figure> probe_charts(const Metrics& m) {
  std::vector<LineChart> all;
  for (const Drawn& what : drawn) {
    LineChart chart{.title = what.title, .y_label = what.y_label};
    const auto found = m.probes.find(name_of(what));
    if (found == m.probes.end()) continue;
    bool positive = true;
    for (const auto& [layer, steps] : found->second) {
      Series series = line_of_layer(layer);
      for (const auto& [step, sum] : steps) {
        series.points.push_back({step, sum.total / sum.count});  // NaN if there is none
        positive = positive && !(series.points.back().y <= 0);
      }
      // A few points can be shown one by one.
      if (series.look == Series::Look::line && steps.size() <= 40 && found->second.size() <= 8)
        series.look = Series::Look::dots;
      add_if_any(chart, std::move(series));
    }
    if (chart.series.empty()) continue;
    chart.logarithmic = positive && spans_decades(chart.series, 20);
    all.push_back(std::move(chart));
  }
  return small_multiples(std::move(all));
}

Table alarm_table(const std::vector<Alarm>& alarms) {
  Table table{
      .caption = "Alarms",
      .columns =
          {{"step", true}, {"alarm"}, {"layer", true}, {"state"}, {"value", true}, {"threshold", true}},
      .ordered_by = 0,
      .heads = false};
  for (const Alarm& a : alarms)
    table.rows.push_back({Cell(grouped(a.step), exact(a.step)), a.name,
                          std::isfinite(a.layer) ? Cell(grouped(a.layer)) : Cell("–"), a.state,
                          Cell::number(a.value, 3), Cell::number(a.threshold, 3)});
  return table;
}

void show_alarms(const std::vector<Alarm>& alarms, Section& section) {
  constexpr std::size_t most = 20;
  const std::size_t hidden = alarms.size() > most ? alarms.size() - most : 0;
  section.contents.push_back(
      show(alarm_table({alarms.begin() + static_cast<std::ptrdiff_t>(hidden), alarms.end()})));
  if (hidden > 0)
    section.contents.push_back(remark("The last " + std::to_string(most) + "; the " + std::to_string(hidden) +
                                      " before them are in metrics.jsonl."));
}

// Empty if no probes were read, and no alarm rang.
Section attention(const Run& run) {
  const Metrics& m = run.metrics;
  Section section;
  if (!m.probed) {
    if (!m.alarms.empty()) show_alarms(m.alarms, section);
    return section;
  }
  section.heading = "Attention";
  std::string text = "Read on validation text";
  if (std::isfinite(m.few)) {
    text += ": curves of " + grouped(m.few) + (m.few == 1 ? " window" : " windows");
    if (m.many > m.few) text += ", what stands below them of " + grouped(m.many) + ", at the last validation";
  }
  section.contents.push_back(prose(text + ". A line is a layer, the mean over its heads."));
  if (std::vector<Figure> figures = probe_charts(m); !figures.empty())
    section.contents.push_back(Content(std::move(figures), true));
  for (Figure& figure : std::vector<Figure>{eigenvalue_figure(run.folder), profile_figure(run.folder),
                                            rho_figure(run.folder), attention_figure(run.folder)})
    if (!figure.panels.empty()) section.contents.push_back(std::move(figure));
  if (m.alarms.empty())
    section.contents.push_back(remark("No alarm rang."));
  else
    show_alarms(m.alarms, section);
  return section;
}

// ---- The page
// ----------------------------------------------------------------------------------------------

std::string in_words(const json& value) {
  if (value.is_null()) return "–";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

std::string configuration(const json& config) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [key, value] : config.items()) rows.emplace_back(key, in_words(value));
  return options_table(rows);
}

// One argument of a shell's command line.
std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::strchr("_-./", c) != nullptr;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

Page page_of(const Run& run) {
  Page page{.title = run.name, .lead = "A run of eigenformer"};
  for (const char* key : {"preset", "data", "version"}) {
    if (const std::string value = word(run.config, key); !value.empty())
      page.lead += std::string(" · ") + key + ' ' + value;
  }
  Section loss;
  if (const std::vector<BigNumber> numbers = big_numbers(run); !numbers.empty())
    loss.contents.push_back(show(numbers));
  if (std::isfinite(run.metrics.last_step))
    for (Content& content : charts(run.metrics)) loss.contents.push_back(std::move(content));
  else
    loss.contents.push_back(prose("Nothing has been measured yet: metrics.jsonl is missing or empty."));
  if (const int lines = run.metrics.unreadable; lines > 0)
    loss.contents.push_back(remark(std::to_string(lines) + (lines == 1 ? " line" : " lines") +
                                   " of metrics.jsonl could not be read."));
  page.sections.push_back(std::move(loss));

  if (Section section = attention(run); !section.contents.empty())
    page.sections.push_back(std::move(section));
  if (!run.sample.empty()) page.sections.push_back({"What it writes", {preformatted(run.sample)}});
  if (!run.config.empty()) page.sections.push_back({"Configuration", {configuration(run.config)}});
  std::string lines;
  if (const std::string version = word(run.config, "version"); !version.empty())
    lines = "# with the code of version " + version + '\n';
  lines += "build/bin/train --config " + quoted(run.folder + "/config.json") + " --name " +
           quoted(run.name + "-again");
  page.sections.push_back({"To repeat this run", {commands(lines)}});
  return page;
}

}  // namespace

Page run_page(const std::string& run_folder) { return page_of(read_run(run_folder)); }

void write_report(const std::string& run_folder) {
  write_page(run_folder + "/report.html", run_page(run_folder));
}

}  // namespace ef
