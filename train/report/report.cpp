#include "train/report/report.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "engine/error.h"
#include "models/probes/alarms.h"
#include "train/files/files.h"
#include "train/files/json.h"
#include "train/quantities.h"
#include "train/report/arrays.h"
#include "train/watch.h"

namespace ef {
namespace {

using json = nlohmann::ordered_json;  // the config's table has the order of its file

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// What probes read of one place, by step: the sum and the largest over heads, and their number. At a
// validation a step has two readings: a curve goes through those of few windows, which are the same at all
// steps.
struct Heads {
  double total = 0, largest = missing, count = 0, windows = missing;
};
struct Place {
  int layer = -1;           // -1: of the whole model, or of a tensor
  std::string tensor = "";  // a parameter's path, or ""
  auto operator<=>(const Place&) const = default;
};
using ByPlace = std::map<Place, std::map<double, Heads>>;
using ProbeKey = std::pair<std::string, std::string>;

struct Alarm {
  double step = missing;
  std::string name, state;
  double layer = missing, value = missing, threshold = missing;
};

// What metrics.jsonl says, by step. A number that is absent or null is NaN.
struct Metrics {
  std::vector<ChartPoint> train_loss, train_floor, learning_rate, gradient_norm, regulariser;
  std::vector<ChartPoint> valid_loss, valid_floor, perplexity;
  bool smoothed = false;  // train_loss has label smoothing in it
  std::map<ProbeKey, ByPlace> probes;
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

void add_probe(Metrics& m, double step, const std::string& probe, const json& object) {
  m.probed = true;
  const double windows = number(object, "windows");
  m.few = std::fmin(m.few, windows);  // fmin and fmax pass over what is missing
  m.many = std::fmax(m.many, windows);
  Place place{.tensor = word(object, "tensor")};
  if (object.contains("layer")) {
    const double layer = number(object, "layer");
    if (!(layer >= 0 && layer < 10'000)) return;
    place.layer = static_cast<int>(layer);
  }
  for (const auto& [key, json_value] : object.items()) {
    const bool where = key == "step" || key == "layer" || key == "head";
    if (where || !is_reading(key) || !(json_value.is_number() || json_value.is_null())) continue;
    Heads& heads = m.probes[{probe, key}][place][step];
    const double value = number(object, key.c_str());
    if (!std::isfinite(value)) continue;  // where all heads are so, the line has a gap
    if (windows > heads.windows) continue;
    if (windows < heads.windows) heads = {};
    heads.windows = windows;
    heads.total += value;
    heads.largest = std::fmax(heads.largest, value);
    ++heads.count;
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
    json object;
    try {
      object = parse_json(line, "metrics");
    } catch (const Error&) {
      object = nullptr;  // counted below
    }
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
      if (object.contains("regulariser")) add(m.regulariser, "regulariser");
    }
  }
  return m;
}

Run read_run(const std::string& folder) {
  Run run;
  run.folder = folder;
  run.config = parse_json(read_file(folder + "/config.json"), folder + "/config.json", JsonBy::hand);
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

// Without lines.
LineChart chart_of(const Quantity& quantity) {
  return {
      .title = quantity.title, .y_label = axis_text(quantity), .low = quantity.low, .high = quantity.high};
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

// Side by side, in rows of three or of two. One alone is as wide as the page.
std::vector<Figure> small_multiples(std::vector<LineChart> charts) {
  std::vector<Figure> figures;
  for (LineChart& chart : charts) {
    chart.legend = chart.legend && chart.series.size() > 1;
    chart.width = charts.size() == 1 ? 880 : charts.size() == 3 ? 280 : 430;
    chart.height = charts.size() == 1 ? 260 : 210;
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

  LineChart above = chart_of(named("valid.excess"));
  add_if_any(above, {"excess", 2, Series::Look::dots, excess(m)});
  above.logarithmic = spans_decades(above.series, 10);
  LineChart rate = chart_of(named("train.learning_rate"));
  add_if_any(rate, {"learning rate", 3, Series::Look::line, m.learning_rate});
  LineChart norm = chart_of(named("train.gradient_norm"));
  add_with_mean(norm, "gradient norm", 4, m.gradient_norm);
  norm.logarithmic = spans_decades(norm.series, 10);
  LineChart added = chart_of(named("train.regulariser"));
  add_with_mean(added, "regulariser", 5, m.regulariser);

  std::vector<LineChart> small = {above, rate, norm};
  if (above.series.empty()) small.erase(small.begin());
  if (!added.series.empty()) small.push_back(added);
  return {draw(loss), Content(small_multiples(small), false)};
}

// ---- Attention
// ---------------------------------------------------------------------------------------------

// Eight colours; where there are more layers, they come again with dashes, then thin.
Series line_of_layer(int layer) {
  static constexpr Series::Look looks[] = {Series::Look::line, Series::Look::dashed, Series::Look::thin};
  return {"layer " + std::to_string(layer), 1 + layer % 8, looks[layer / 8 % 3], {}};
}

// "blocks.1.attn.q.weight" -> layer 1 of "attn.q.weight"; what is outside of blocks has layer -1 and its
// path.
Place in_block(const std::string& tensor) {
  const std::string blocks = "blocks.";
  const std::size_t point = tensor.find('.', blocks.size());
  if (!tensor.starts_with(blocks) || point == std::string::npos) return {-1, tensor};
  const std::string layer = tensor.substr(blocks.size(), point - blocks.size());
  const bool number =
      !layer.empty() && layer.size() < 5 &&
      std::all_of(layer.begin(), layer.end(), [](unsigned char c) { return std::isdigit(c); });
  return number ? Place{std::stoi(layer), tensor.substr(point + 1)} : Place{-1, tensor};
}

// A line a layer; of what is read of tensors a chart for each that blocks have, and one for those outside.
std::vector<LineChart> probe_charts(const Quantity& quantity, const ByPlace& places) {
  std::vector<LineChart> charts;
  std::map<std::string, std::size_t> by_title;
  for (const auto& [place, steps] : places) {
    const bool of_tensor = !place.tensor.empty();
    const Place in = of_tensor ? in_block(place.tensor) : place;
    std::string title = quantity.title;
    if (of_tensor) title += in.layer < 0 ? ", outside of blocks" : " of " + in.tensor;
    const auto [at, is_new] = by_title.try_emplace(title, charts.size());
    if (is_new) {
      charts.push_back(chart_of(quantity));
      charts.back().title = title;
    }
    LineChart& chart = charts[at->second];
    Series series = line_of_layer(in.layer >= 0 ? in.layer : static_cast<int>(chart.series.size()));
    if (in.layer < 0) series.label = of_tensor ? in.tensor : "whole model";
    for (const auto& [step, heads] : steps) {
      const double mean = heads.total / heads.count;  // NaN if there is none
      series.points.push_back({step, quantity.joined == Quantity::Joined::largest ? heads.largest : mean});
    }
    // A few points can be shown one by one.
    if (series.look == Series::Look::line && steps.size() <= 40 && places.size() <= 8)
      series.look = Series::Look::dots;
    add_if_any(chart, std::move(series));
  }
  std::erase_if(charts, [](const LineChart& chart) { return chart.series.empty(); });
  for (LineChart& chart : charts) {
    bool positive = true;  // and not lost below the smallest power of ten that an axis has
    for (const Series& series : chart.series)
      for (const ChartPoint& point : series.points) positive = positive && !(point.y < 1e-29);
    if (quantity.scale == Quantity::Scale::automatic)
      chart.logarithmic = positive && spans_decades(chart.series, 20);
    else
      chart.logarithmic = positive && quantity.scale == Quantity::Scale::logarithmic;
  }
  return charts;
}

// "rank residual in Dong et al.'s norm, ...": what a fold holds.
std::string heading_of(const std::string& probe, const std::vector<std::string>& titles) {
  std::string text = probe + ": ";
  for (const std::string& title : titles) text += (&title == &titles[0] ? "" : ", ") + within_sentence(title);
  return text;
}

// All that probes read: what they declare to be a detail is folded away, a fold a probe.
struct Drawn {
  std::vector<LineChart> first;
  std::vector<Content> folds;
};
Drawn draw_probes(const Metrics& m) {
  Drawn drawn;
  std::set<ProbeKey> read;
  for (const auto& [name, places] : m.probes) read.insert(name);
  struct Fold {
    std::vector<std::string> titles;
    std::vector<LineChart> charts;
  };
  std::vector<std::pair<std::string, Fold>> folds;
  for (const auto& [probe, quantity] : in_order(read)) {
    std::vector<LineChart> charts = probe_charts(quantity, m.probes.at({probe, quantity.key}));
    if (charts.empty()) continue;
    std::vector<LineChart>* to = &drawn.first;
    if (quantity.detail) {
      auto fold = std::find_if(folds.begin(), folds.end(), [&](const auto& f) { return f.first == probe; });
      if (fold == folds.end()) fold = folds.insert(fold, {probe, {}});
      fold->second.titles.push_back(quantity.title);
      to = &fold->second.charts;
    }
    for (LineChart& chart : charts) to->push_back(std::move(chart));
  }
  for (auto& [probe, fold] : folds) {
    Content& content = drawn.folds.emplace_back(small_multiples(std::move(fold.charts)), true);
    content.fold = heading_of(probe, fold.titles);
  }
  return drawn;
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
  std::set<std::string> told;
  for (const Alarm& alarm : alarms) {
    const std::string why = Alarms::why(alarm.name);
    if (!why.empty() && told.insert(alarm.name).second)
      section.contents.push_back(remark("The threshold of " + alarm.name + ": " + why + "."));
  }
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
  Drawn drawn = draw_probes(m);
  section.contents.push_back(
      prose(text + ". A line is a layer, the mean over its heads (of largest values the largest)."));
  if (!drawn.first.empty())
    section.contents.push_back(Content(small_multiples(std::move(drawn.first)), true));
  for (Content& fold : drawn.folds) section.contents.push_back(std::move(fold));
  for (Figure& figure : array_figures(run.folder)) section.contents.push_back(std::move(figure));
  if (m.alarms.empty())
    section.contents.push_back(remark("No alarm rang."));
  else
    show_alarms(m.alarms, section);
  const std::string spectra = word(run.config, "spectra");
  if (!section.contents.empty() && !spectra.empty())
    section.contents.push_back(remark("W is " + spectra + "."));
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
std::string shell_word(const std::string& word) {
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
  lines += "build/bin/train --config " + shell_word(run.folder + "/config.json") + " --name " +
           shell_word(run.name + "-again");
  page.sections.push_back({"To repeat this run", {commands(lines)}});
  return page;
}

}  // namespace

Page run_page(const std::string& run_folder) { return page_of(read_run(run_folder)); }

void write_report(const std::string& run_folder, int refresh) {
  Page page = run_page(run_folder);
  page.refresh = refresh;
  if (refresh > 0) page.lead += " · it is still training, and this page renews itself";
  write_page(run_folder + "/report.html", page);
}

}  // namespace ef
