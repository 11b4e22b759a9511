#include "train/report.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/error.h"
#include "train/files.h"
#include "train/npy.h"
#include "train/svg.h"

namespace ef {
namespace {

using json = nlohmann::ordered_json;  // the config's table has the order of its file

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// A quantity that probes read: for each layer, by step, the sum over heads and their number.
struct Sum {
  double total = 0, count = 0;
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
  std::map<std::string, ByLayer> probes;  // by probe and key, as in "attn.entropy normalised"
  bool probed = false;
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
  const double layer = number(object, "layer");
  if (!(layer >= 0 && layer < 10'000)) return;
  for (const Drawn& what : drawn) {
    if (probe != what.probe || !object.contains(what.key)) continue;
    Sum& sum = m.probes[name_of(what)][static_cast<int>(layer)][step];
    const double value = number(object, what.key);
    if (!std::isfinite(value)) continue;  // where all heads are so, the line has a gap
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
    add(valid ? m.valid_loss : m.train_loss, "loss");
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

struct Figure {
  std::string label, value, note;
};

// Few letters: "1,234", "12.4 M".
std::string compact(double value) {
  if (value >= 1e9) return fixed(value / 1e9, 2) + " G";
  if (value >= 1e6) return fixed(value / 1e6, 2) + " M";
  return grouped(value);
}

std::vector<Figure> big_numbers(const Run& run) {
  const Metrics& m = run.metrics;
  std::vector<Figure> figures;
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
    figures.push_back({"Training loss", fixed(train, 4), "last batch, nats per token"});
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

std::string show(const std::vector<Figure>& figures) {
  // Rows of three or of four, so that none is left with a single number.
  std::string html = figures.size() == 5 || figures.size() == 6 ? "<div class=\"figures threes\">\n"
                                                                : "<div class=\"figures\">\n";
  for (const Figure& f : figures)
    html += "<div><span class=\"label\">" + escape_html(f.label) + "</span><span class=\"value\">" +
            escape_html(f.value) + "</span><span class=\"note\">" + escape_html(f.note) + "</span></div>\n";
  return html + "</div>\n";
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
std::string small_multiples(std::vector<LineChart> charts) {
  const bool threes = charts.size() == 3;
  std::string html = threes ? "<div class=\"trio\">\n" : "<div class=\"pair\">\n";
  for (LineChart& chart : charts) {
    chart.from_zero = !chart.logarithmic;
    chart.legend = false;
    chart.width = threes ? 280 : 430;
    chart.height = 210;
    html += draw(chart);
  }
  return html + "</div>\n";
}

std::string charts(const Metrics& m) {
  LineChart loss{.title = "Loss", .y_label = "nats per token"};
  add_with_mean(loss, "training batch", 1, m.train_loss);
  add_if_any(loss, {"validation", 2, Series::Look::dots, m.valid_loss});
  add_if_any(loss, {"floor", 0, Series::Look::dashed, floor_line(m)});
  loss.logarithmic = spans_decades(loss.series, 6);
  if (loss.logarithmic) loss.y_label += ", logarithmic";

  LineChart above{.title = "Excess over the floor", .y_label = "nats per token"};
  add_if_any(above, {"excess", 2, Series::Look::dots, excess(m)});
  above.logarithmic = spans_decades(above.series, 10);
  LineChart rate{.title = "Learning rate"};
  add_if_any(rate, {"learning rate", 3, Series::Look::line, m.learning_rate});
  LineChart norm{.title = "Gradient norm", .y_label = "before clipping"};
  add_with_mean(norm, "gradient norm", 4, m.gradient_norm);
  norm.logarithmic = spans_decades(norm.series, 10);

  std::vector<LineChart> small = {above, rate, norm};
  if (above.series.empty()) small.erase(small.begin());
  return draw(loss) + small_multiples(small);
}

// ---- Attention
// ---------------------------------------------------------------------------------------------

// Eight colours; where there are more layers, they come again with dashes, then thin.
Series line_of_layer(int layer) {
  static constexpr Series::Look looks[] = {Series::Look::line, Series::Look::dashed, Series::Look::thin};
  return {"layer " + std::to_string(layer), 1 + layer % 8, looks[layer / 8 % 3], {}};
}

// Means over heads.
std::string probe_charts(const Metrics& m) {
  std::vector<LineChart> all;
  std::map<int, Series> layers;  // all that are drawn, for the one legend
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
      if (any_finite(series.points)) layers.emplace(layer, series);
      add_if_any(chart, std::move(series));
    }
    if (chart.series.empty()) continue;
    chart.logarithmic = positive && spans_decades(chart.series, 20);
    if (chart.logarithmic) chart.y_label += ", logarithmic";
    all.push_back(std::move(chart));
  }
  if (all.empty()) return "";
  std::vector<Series> key;
  for (const auto& [layer, series] : layers) key.push_back(series);
  return legend(key) + small_multiples(std::move(all));
}

// The file of the last reading and its step, or "" if there is none.
std::pair<std::string, long> last_eigenvalues(const std::string& run_folder) {
  constexpr std::string_view before = "qk.spectrum.eigenvalues.", after = ".npy";
  std::pair<std::string, long> last{"", -1};
  std::error_code error;  // no folder: no files
  for (std::filesystem::directory_iterator file(run_folder + "/probes", error), end; !error && file != end;
       file.increment(error)) {
    const std::string name = file->path().filename().string();
    if (!name.starts_with(before) || !name.ends_with(after) || name.size() <= before.size() + after.size())
      continue;
    long step = -1;
    const char *const digits = name.data() + before.size(), *const stop =
                                                                name.data() + name.size() - after.size();
    const auto [at, problem] = std::from_chars(digits, stop, step);
    if (at == stop && problem == std::errc{} && step > last.second) last = {file->path().string(), step};
  }
  return last;
}

// The eigenvalues of each head at the last reading; "" if they are missing or damaged.
std::string eigenvalue_figure(const std::string& run_folder) {
  const auto [path, step] = last_eigenvalues(run_folder);
  if (path.empty()) return "";
  NpyArray array;
  try {
    array = read_npy(path);
  } catch (const Error&) {
    return "";
  }
  if (array.shape.size() != 4 || array.shape[3] != 2 || array.values.empty()) return "";

  ScatterFigure figure{.title = "Eigenvalues of W", .points_label = "eigenvalue"};
  std::size_t more = 0;
  const auto heads = static_cast<std::size_t>(array.shape[1]),
             size = static_cast<std::size_t>(array.shape[2]);
  for (std::size_t begin = 0, i = 0; begin < array.values.size(); begin += 2 * size, ++i) {
    std::vector<ChartPoint> points;
    for (std::size_t at = begin; at < begin + 2 * size; at += 2) {
      const ChartPoint p{static_cast<double>(array.values[at]), static_cast<double>(array.values[at + 1])};
      if (std::isfinite(p.x) && std::isfinite(p.y)) points.push_back(p);
    }
    if (points.empty()) continue;  // a layer without such a head
    if (figure.panels.size() == 16) {
      ++more;
      continue;
    }
    figure.panels.push_back(
        {"layer " + std::to_string(i / heads) + ", head " + std::to_string(i % heads), std::move(points)});
  }
  figure.note = "At step " + grouped(static_cast<double>(step)) +
                ", in the complex plane. All panels have the same scale.";
  if (more > 0)
    figure.note +=
        ' ' + std::to_string(more) + (more == 1 ? " more head is left out." : " more heads are left out.");
  return draw(figure);
}

std::string cell(const std::string& text) { return "<td>" + escape_html(text) + "</td>"; }

std::string alarm_table(const std::vector<Alarm>& alarms) {
  constexpr std::size_t most = 20;
  const auto value = [](double x) { return std::isfinite(x) ? concise(x, 3) : std::string("–"); };
  std::string html =
      "<table class=\"alarms\">\n<thead><tr><th scope=\"col\">step</th><th scope=\"col\">alarm</th>"
      "<th scope=\"col\">layer</th><th scope=\"col\">state</th><th scope=\"col\">value</th>"
      "<th scope=\"col\">threshold</th></tr></thead>\n<tbody>\n";
  const std::size_t hidden = alarms.size() > most ? alarms.size() - most : 0;
  for (std::size_t i = hidden; i < alarms.size(); ++i) {
    const Alarm& a = alarms[i];
    html += a.state == "on" ? "<tr class=\"on\">" : "<tr>";
    html += cell(grouped(a.step)) + cell(a.name) + cell(std::isfinite(a.layer) ? grouped(a.layer) : "–");
    html += cell(a.state) + cell(value(a.value)) + cell(value(a.threshold)) + "</tr>\n";
  }
  html += "</tbody></table>\n";
  if (hidden > 0)
    html += "<p class=\"note\">The last " + std::to_string(most) + "; the " + std::to_string(hidden) +
            " before them are in metrics.jsonl.</p>\n";
  return "<figure class=\"chart\"><figcaption>Alarms</figcaption>\n" + html + "</figure>\n";
}

// "" if no probes were read, and no alarm rang.
std::string attention(const Run& run) {
  const Metrics& m = run.metrics;
  if (!m.probed) return m.alarms.empty() ? "" : "<section>\n" + alarm_table(m.alarms) + "</section>\n";
  std::string html = "<section>\n<h2>Attention</h2>\n";
  html += "<p class=\"lead\">Read on validation text; a line is a layer, the mean over its heads.</p>\n";
  html += probe_charts(m);
  html += eigenvalue_figure(run.folder);
  html += m.alarms.empty() ? "<p class=\"remark\">No alarm rang.</p>\n" : alarm_table(m.alarms);
  return html + "</section>\n";
}

// ---- The page
// ----------------------------------------------------------------------------------------------

std::string in_words(const json& value) {
  if (value.is_null()) return "–";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Two tables side by side: a configuration is long and narrow.
std::string config_tables(const json& config) {
  std::vector<std::string> rows;
  for (const auto& [key, value] : config.items())
    rows.push_back("<tr><th scope=\"row\">" + escape_html(key) + "</th><td>" + escape_html(in_words(value)) +
                   "</td></tr>\n");
  std::string html = "<div class=\"pair\">\n";
  const std::size_t half = (rows.size() + 1) / 2;
  for (std::size_t begin = 0; begin < rows.size(); begin += half) {
    html += "<table><tbody>\n";
    for (std::size_t i = begin; i < std::min(begin + half, rows.size()); ++i) html += rows[i];
    html += "</tbody></table>\n";
  }
  return html + "</div>\n";
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

constexpr const char* page_style = R"(
:root { color-scheme: light dark; --ink: #1c2026; --panel: #f6f7f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ec; --panel: #1d2127; } }
@media print { :root { color-scheme: light; --ink: #000000; --panel: #ffffff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.125rem; font-weight: 600; }
.lead { margin: 0.35rem 0 0; color: var(--muted); }
.remark { margin: 1.5rem 0 0; font-size: 0.8125rem; color: var(--muted); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1.5rem; margin: 2rem 0 2.75rem; padding: 1.5rem 0; border: solid var(--grid); border-width: 1px 0; }
.figures span { display: block; }
.figures .label, .figures .note { font-size: 0.8125rem; color: var(--muted); }
.figures .value { font-size: 1.75rem; line-height: 1.35; font-weight: 600; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.threes { grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }
.pair, .trio { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 2rem; align-items: start; }
.trio { grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.chart + .pair, .chart + .trio { margin-top: 2.25rem; }
.trio > .chart { max-width: 24rem; }
.pair > .chart:only-child { max-width: 28rem; }
section > .lead { font-size: 0.8125rem; }
section > .legend { margin: 0.25rem 0 1.25rem; }
section > .chart { margin-top: 2.25rem; }
pre { margin: 0; padding: 1rem 1.25rem; background: var(--panel); border: 1px solid var(--grid); border-radius: 6px; font: 0.8125rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: 0.8125rem; }
th, td { padding: 0.3rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
tr { break-inside: avoid; }
th { padding-right: 1rem; text-align: left; font-weight: 400; color: var(--muted); white-space: nowrap; }
td { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.alarms { margin-top: 0.5rem; }
.alarms th:nth-child(n), .alarms td { padding: 0.3rem 1rem 0.3rem 0; text-align: left; white-space: nowrap; color: var(--muted); }
.alarms th:nth-child(n+5), .alarms td:nth-child(n+5), .alarms th:first-child, .alarms td:first-child { text-align: right; }
.alarms th:first-child, .alarms td:first-child { width: 4.5rem; padding-right: 1.5rem; }
.alarms th:last-child, .alarms td:last-child { padding-right: 0; }
.alarms .on td { color: var(--ink); }
@media print { main { max-width: none; padding: 0; } h2 { break-after: avoid; } .figures { break-inside: avoid; } }
)";

std::string page(const Run& run) {
  std::string lead;
  for (const char* key : {"preset", "data", "version"}) {
    if (const std::string value = word(run.config, key); !value.empty())
      lead += (lead.empty() ? "" : " · ") + std::string(key) + ' ' + value;
  }

  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n";  // or a browser would ask a server for one
  html += "<title>" + escape_html(run.name) + " – eigenformer</title>\n<style>" + chart_style() + page_style +
          "</style>\n</head>\n<body>\n<main>\n<h1>" + escape_html(run.name) + "</h1>\n";
  html += "<p class=\"lead\">A run of eigenformer" + escape_html(lead.empty() ? "" : " · " + lead) + "</p>\n";

  const std::vector<Figure> figures = big_numbers(run);
  if (!figures.empty()) html += show(figures);
  if (std::isfinite(run.metrics.last_step))
    html += charts(run.metrics);
  else
    html += "<p>Nothing has been measured yet: metrics.jsonl is missing or empty.</p>\n";
  if (const int lines = run.metrics.unreadable; lines > 0)
    html += "<p class=\"remark\">" + std::to_string(lines) + (lines == 1 ? " line" : " lines") +
            " of metrics.jsonl could not be read.</p>\n";

  html += attention(run);

  // A line end right after <pre> is not part of the text; without it the sample's own first one would be
  // lost.
  if (!run.sample.empty()) html += "<h2>What it writes</h2>\n<pre>\n" + escape_html(run.sample) + "</pre>\n";
  if (!run.config.empty()) html += "<h2>Configuration</h2>\n" + config_tables(run.config);
  html += "<h2>To repeat this run</h2>\n<pre>build/bin/train --config " +
          escape_html(quoted(run.folder + "/config.json")) + " --name " +
          escape_html(quoted(run.name + "-again")) + "</pre>\n";
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace

void write_report(const std::string& run_folder) {
  write_atomically(run_folder + "/report.html", page(read_run(run_folder)));
}

}  // namespace ef
