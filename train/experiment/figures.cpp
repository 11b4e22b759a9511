// What one plan found, drawn: curves, differences, the table of arms, spectra, profiles, attention maps.
#include "train/experiment/figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "train/quantities.h"

namespace ef {
namespace {

// "0.0123", "-35,100", "3.12e+09": as a person would write it.
std::string readable(double value, int digits) {
  const double size = std::fabs(value);
  return size >= std::pow(10, digits) - 0.5 && size < 1e7 ? grouped(value) : concise(value, digits);
}

// ---- Which arms are drawn, and how

bool lower_is_better(const std::string& measure) { return named(measure).better == Quantity::Better::lower; }

// The arms of the plan that have results, those with the best value of its first measure first, as far as it
// is known which is the better one.
std::vector<const ArmSummary*> best_first(const PlanResults& p) {
  std::vector<const ArmSummary*> arms;
  for (const ArmSummary& arm : p.summary.arms)
    if (arm.finished + arm.failed > 0) arms.push_back(&arm);
  if (p.plan->measures.empty() || !lower_is_better(p.plan->measures[0])) return arms;
  const auto value = [](const ArmSummary* arm) {
    return arm->measures.empty() || std::isnan(arm->measures[0].mean) ? HUGE_VAL : arm->measures[0].mean;
  };
  std::stable_sort(arms.begin(), arms.end(), [&](auto* a, auto* b) { return value(a) < value(b); });
  return arms;
}

// Eight colours beside the grey of the baseline. Where there are more arms, those of which predictions speak
// come first, then the best.
std::vector<std::string> drawn_arms(const PlanResults& p) {
  std::vector<std::string> order = {p.plan->baseline};
  const auto add = [&](const std::string& arm) {
    if (std::find(order.begin(), order.end(), arm) == order.end() && order.size() < 9) order.push_back(arm);
  };
  for (const Prediction& prediction : p.plan->predictions) {
    add(prediction.arm);
    add(prediction.against);
  }
  for (const ArmSummary* arm : best_first(p)) add(arm->arm);
  std::vector<std::string> drawn;  // in the plan's order
  for (const Arm& arm : p.plan->arms)
    if (std::find(order.begin(), order.end(), arm.name) != order.end()) drawn.push_back(arm.name);
  return drawn;
}

// 0 for the baseline, 1 to 8 for other arms that are drawn, -1 for those that are not.
int colour_of(const PlanResults& p, const std::string& arm) {
  int colour = 0;
  for (const std::string& name : drawn_arms(p)) {
    if (name != p.plan->baseline) ++colour;
    if (name == arm) return name == p.plan->baseline ? 0 : colour;
  }
  return -1;
}

// Which arms have no colour: by name, or, if they are many, which have one.
std::string left_out(const PlanResults& p) {
  constexpr std::size_t few = 8;
  std::vector<std::string> others;
  for (const Arm& arm : p.plan->arms)
    if (colour_of(p, arm.name) < 0) others.push_back(arm.name);
  if (others.empty()) return "";
  if (others.size() > few) {
    const bool ordered = !p.plan->measures.empty() && lower_is_better(p.plan->measures[0]);
    return std::string(" Of the arms are drawn: the baseline") +
           (p.plan->predictions.empty() ? "" : ", the first of which predictions speak") +
           (ordered ? ", the best." : ", the first of the plan.");
  }
  std::string text = " Not drawn: ";
  for (const std::string& arm : others) text += (&arm == &others[0] ? "" : "; ") + arm;
  return text + ".";
}

// What means and bands are, of one seed or several.
std::string over_seeds(const PlanResults& p, const std::string& before, const std::string& what) {
  if (p.plan->seeds.size() == 1) return before + " of one seed.";
  return before + what + "; bands reach from the least to the greatest.";
}

std::vector<const RunResult*> good_runs(const PlanResults& p, const std::string& arm) {
  std::vector<const RunResult*> runs;
  for (const RunResult& result : p.results)
    if (result.arm == arm && !result.failed()) runs.push_back(&result);
  return runs;
}

// ---- Curves

// A line through the means of what several runs say at an x, with a band from the least to the greatest.
class OverSeeds {
 public:
  void add(double x, double y) {
    if (std::isfinite(y)) values_[x].push_back(y);
  }
  Series series(const std::string& label, int colour) const {
    Series s{.label = label, .colour = colour};
    for (const auto& [x, ys] : values_) {
      s.points.push_back({x, mean(ys)});
      const auto [low, high] = std::minmax_element(ys.begin(), ys.end());
      if (ys.size() > 1) s.spread.push_back({x, *low, *high});
    }
    return s;
  }

 private:
  std::map<double, std::vector<double>> values_;
};

// The mean over layers of a run's curve of that name, by step.
std::map<double, double> over_layers(const RunResult& run, const std::string& name) {
  std::map<double, std::vector<double>> layers;
  for (const Curve& curve : run.curves) {
    if (curve.name != name) continue;
    for (std::size_t i = 0; i < curve.steps.size(); ++i) layers[curve.steps[i]].push_back(curve.values[i]);
  }
  std::map<double, double> means;
  for (const auto& [step, values] : layers) means[step] = mean(values);
  return means;
}

bool worth_a_logarithm(const LineChart& chart, double ratio) {
  double least = HUGE_VAL, greatest = 0;
  for (const Series& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      least = std::min(least, point.y);
      greatest = std::max(greatest, point.y);
    }
  }
  return least > 0 && greatest > ratio * least;
}

// A line for each drawn arm through what curve_of(run) gives: values by step.
template <class CurveOf>
std::vector<Series> arm_lines(const PlanResults& p, CurveOf curve_of) {
  std::vector<Series> lines;
  for (const std::string& arm : drawn_arms(p)) {
    OverSeeds line;
    for (const RunResult* run : good_runs(p, arm))
      for (const auto& [step, value] : curve_of(*run)) line.add(step, value);
    Series series = line.series(arm, colour_of(p, arm));
    if (!series.points.empty()) lines.push_back(std::move(series));
  }
  return lines;
}

// An arm that goes a hundred times as far from 0 as most would leave nothing to be seen of the others: the
// note tells how far.
void leave_out_far(LineChart& chart) {
  std::vector<double> reaches;
  for (const Series& series : chart.series) {
    double reach = 0;
    for (const ChartPoint& point : series.points) reach = std::max(reach, std::fabs(point.y));
    reaches.push_back(reach);
  }
  const double most = far_from(reaches, 100);
  for (std::size_t i = 0; i < reaches.size(); ++i) {
    Series& series = chart.series[i];
    series.drawn = reaches[i] <= most;
    if (!series.drawn)
      chart.note += (chart.note.empty() ? "" : " ") + std::string("Beyond the scale: ") + series.label +
                    ", at the end " + readable(series.points.back().y, 3) + ".";
  }
}

// Without lines if no run has such a curve.
LineChart chart_of(const PlanResults& p, const std::string& name) {
  const Quantity words = named(name);
  LineChart chart{.id = p.plan->name + "-" + slug(name), .title = words.title, .y_label = axis_text(words)};
  chart.series = arm_lines(p, [&](const RunResult& run) { return over_layers(run, name); });
  chart.logarithmic = worth_a_logarithm(chart, 6);
  if (!chart.logarithmic) leave_out_far(chart);
  return chart;
}

// An arm's curve less that of the baseline with the same seed, where both were read: a lead that is lost
// again does not show in the final figures.
LineChart differences_of(const PlanResults& p, const std::string& name) {
  const Quantity words = named(name);
  LineChart chart{.id = p.plan->name + "-" + slug(name) + "-against-baseline",
                  .title = words.title + " while training, against " + p.plan->baseline,
                  .y_label = "difference in " + words.unit};
  std::map<std::uint64_t, std::map<double, double>> baseline;
  for (const RunResult* run : good_runs(p, p.plan->baseline)) baseline[run->seed] = over_layers(*run, name);
  chart.series = arm_lines(p, [&](const RunResult& run) {
    std::map<double, double> differences;
    const std::map<double, double>& same_seed = baseline[run.seed];
    for (const auto& [step, value] : over_layers(run, name)) {
      const auto found = same_seed.find(step);
      if (found != same_seed.end()) differences[step] = value - found->second;
    }
    return differences;
  });
  chart.note = over_seeds(p, "Differences to " + p.plan->baseline, ", seed by seed; lines are means");
  if (lower_is_better(name)) chart.note += " Below 0 is better.";
  chart.note += left_out(p);
  return chart;
}

std::vector<Content> curves(const PlanResults& p) {
  std::vector<Content> contents;
  LineChart loss = chart_of(p, "valid.loss");
  if (loss.series.empty()) return {};
  loss.note = over_seeds(p, "Lines are", " means over seeds") + left_out(p) + (loss.note.empty() ? "" : " ") +
              loss.note;
  contents.push_back(draw(loss));
  LineChart against = differences_of(p, "valid.loss");
  if (against.series.size() > 1) contents.push_back(draw(against));
  std::vector<Figure> small;
  bool of_probes = false;
  std::vector<std::string> names = {"valid.perplexity"};
  for (const std::string& measure : p.plan->measures)
    if (std::find(names.begin(), names.end(), measure) == names.end()) names.push_back(measure);
  for (const std::string& name : names) {
    if (name == "valid.loss") continue;
    LineChart chart = chart_of(p, name);
    if (chart.series.empty()) continue;
    const std::vector<std::string>& of_loop = loop_measures();
    of_probes = of_probes || std::find(of_loop.begin(), of_loop.end(), name) == of_loop.end();
    chart.width = 430;
    chart.height = 230;
    small.push_back(draw(chart));
  }
  if (!small.empty()) {
    if (of_probes)
      contents.emplace_back(
          remark("What probes read: means over layers and heads; largest logits: of all heads, the mean over "
                 "layers."));
    contents.emplace_back(small, true);
  }
  return contents;
}

// ---- Differences

// When it is that a measure was read (result.h).
std::string when(const std::string& measure) {
  if (measure == "valid.loss" || measure == "valid.perplexity" || measure == "valid.excess")
    return ", the best";
  if (measure.starts_with("context.") || measure.starts_with("test.")) return ", best checkpoint";
  for (const char* over_all : {".mean", ".min", ".max", ".best"})
    if (measure.ends_with(over_all)) return "";
  return " at the end";
}

// A row an arm, a figure a measure. Where there are many arms, only the first measure, the best on top: the
// table has the rest.
std::vector<Content> forests(const PlanResults& p) {
  constexpr std::size_t many = 16;
  constexpr int half = 430;  // of the page's width
  std::vector<const ArmSummary*> arms;
  for (const ArmSummary& arm : p.summary.arms) arms.push_back(&arm);
  if (arms.size() > many) arms = best_first(p);
  bool wide = false;
  std::vector<IntervalPlot> plots;
  for (std::size_t m = 0; !arms.empty() && m < arms[0]->measures.size(); ++m) {
    const std::string& measure = arms[0]->measures[m].measure;
    const std::string unit = named(measure).unit;
    IntervalPlot plot{.id = p.plan->name + "-difference-" + slug(measure),
                      .title = named(measure).title + when(measure) + ", against " + p.plan->baseline,
                      .x_label = "difference" + (unit.empty() ? "" : " in " + unit) +
                                 (p.plan->seeds.size() > 1 ? ", 95 % t interval" : ", one seed"),
                      .value_label = "difference in " + measure};
    for (const ArmSummary* arm : arms) {
      const MeasureSummary& s = arm->measures[m];
      if (s.differences.empty()) continue;
      const int colour = colour_of(p, arm->arm);
      plot.rows.push_back(
          {arm->arm, s.effect, s.t.low, s.t.high, std::max(0, colour), readable(s.effect, 3)});
      wide = wide || arm->arm.size() > 26;
    }
    if (plot.rows.empty()) continue;
    if (lower_is_better(measure)) {
      plot.better_low = "better";
      plot.better_high = "worse";
    }
    plots.push_back(plot);
    if (p.summary.arms.size() > many) break;
  }
  std::vector<Content> contents;
  std::vector<Figure> small;
  for (IntervalPlot& plot : plots) {
    if (wide || plots.size() == 1) {
      contents.push_back(draw(plot));
      continue;
    }
    plot.width = half;
    small.push_back(draw(plot));
  }
  if (!small.empty()) contents.emplace_back(small, false);
  return contents;
}

// ---- Arms

// With as many decimals as two digits of the standard error need; "3.118e+09 ± 1.2e+09" where these are none.
std::string mean_text(const MeasureSummary& m) {
  if (!std::isfinite(m.standard_error)) return readable(m.mean, 4);
  const double error = m.standard_error;
  const bool plain = error > 1e-6 && error < 100 && std::fabs(m.mean) < 1e5;
  if (!plain) return readable(m.mean, 4) + " ± " + readable(error, 2);
  const int decimals = std::max(0, 1 - static_cast<int>(std::floor(std::log10(error))));
  return fixed(m.mean, decimals) + " ± " + fixed(error, decimals);
}

std::string arm_table(const PlanResults& p) {
  Table table{.caption = p.plan->seeds.size() > 1 ? "Arms: mean ± standard error over seeds" : "Arms",
              .columns = {{"arm"}, {"runs", true, "with those that failed"}, {"failed", true}}};
  for (const MeasureSummary& m : p.summary.arms.at(0).measures)
    table.columns.push_back({named(m.measure).title + when(m.measure), true, m.measure});
  table.columns.push_back({"CPU seconds, last process", true,
                           "of a run that was resumed only what came after; machines may differ"});
  for (const ArmSummary& arm : p.summary.arms) {
    if (arm.finished + arm.failed == 0) continue;
    const std::string baseline = arm.arm == p.plan->baseline ? " (baseline)" : "";
    std::vector<Cell> row = {Cell(arm.arm + baseline, "", colour_of(p, arm.arm)),
                             Cell::number(static_cast<double>(arm.finished)),
                             Cell::number(static_cast<double>(arm.failed))};
    for (const MeasureSummary& m : arm.measures) {
      Cell cell = Cell::number(m.mean);
      if (std::isfinite(m.mean)) cell.text = mean_text(m);
      row.push_back(cell);
    }
    std::vector<double> seconds;
    for (const RunResult* run : good_runs(p, arm.arm))
      if (std::isfinite(run->cpu_seconds)) seconds.push_back(run->cpu_seconds);
    Cell cpu = Cell::number(mean(seconds));
    if (!seconds.empty()) cpu.text = std::to_string(std::llround(mean(seconds)));
    row.push_back(cpu);
    table.rows.push_back(std::move(row));
  }
  return show(table);
}

// ---- Spectra

std::vector<ChartPoint> points_of(const std::vector<std::complex<double>>& eigenvalues) {
  std::vector<ChartPoint> points;
  for (const std::complex<double>& value : eigenvalues) points.push_back({value.real(), value.imag()});
  return points;
}

// Of the first seed that has any: a panel an arm, layer and head, as long as they are few.
std::vector<Content> spectra(const PlanResults& p) {
  constexpr std::size_t most = 16;
  for (const std::uint64_t seed : p.plan->seeds) {
    std::vector<const RunResult*> runs;
    std::vector<Index> steps;
    for (const std::string& arm : drawn_arms(p)) {
      for (const RunResult* run : good_runs(p, arm)) {
        if (run->seed != seed || run->spectra.empty()) continue;
        std::vector<Index> its;
        for (const RunResult::Spectrum& s : run->spectra) its.push_back(s.step);
        if (steps.empty()) steps = its;
        if (its == steps) runs.push_back(run);  // a run that stopped early has other steps
      }
    }
    if (runs.empty()) continue;
    ScatterFigure figure{.id = p.plan->name + "-eigenvalues",
                         .title = "Eigenvalues of W = W_Q W_Kᵀ",
                         .points_label = "eigenvalue"};
    for (const Index step : steps) figure.states.push_back("step " + grouped(static_cast<double>(step)));
    std::size_t all = 0;
    bool several_layers = false, several_heads = false;
    for (const RunResult* run : runs) {
      several_layers = several_layers || run->spectra.back().eigenvalues.size() > 1;
      for (const auto& heads : run->spectra.back().eigenvalues) {
        several_heads = several_heads || heads.size() > 1;
        all += heads.size();
      }
    }
    for (const RunResult* run : runs) {
      for (std::size_t layer = 0; layer < run->spectra.back().eigenvalues.size(); ++layer) {
        for (std::size_t head = 0; head < run->spectra.back().eigenvalues[layer].size(); ++head) {
          if (all > most && layer + head > 0) continue;  // the first head of each arm
          ScatterFigure::Panel panel{.title = run->arm};
          if (several_layers && all <= most) panel.title += ", layer " + std::to_string(layer);
          if (several_heads && all <= most) panel.title += ", head " + std::to_string(head);
          for (const RunResult::Spectrum& s : run->spectra) {
            if (s.step != steps.back()) panel.earlier.push_back(points_of(s.eigenvalues[layer][head]));
          }
          panel.points = points_of(run->spectra.back().eigenvalues[layer][head]);
          figure.panels.push_back(std::move(panel));
        }
      }
    }
    figure.note = "Seed " + std::to_string(seed) + ". Real parts to the right, imaginary parts upwards." +
                  (all > most ? " The first head of the first layer of each arm." : "") + left_out(p);
    return {draw(figure)};
  }
  return {};
}

// All (array, how it is drawn) of one kind that the runs have, in the order in which they are to be drawn.
std::vector<std::pair<std::string, Picture>> pictures_of(const PlanResults& p, Picture::Kind kind) {
  std::set<std::string> names;
  for (const RunResult& run : p.results)
    for (const RunResult::Array& array : run.arrays) names.insert(array.name);
  std::vector<std::pair<std::string, Picture>> pictures;
  for (const std::string& name : names)
    if (const Picture picture = picture_named(name); picture.kind == kind)
      pictures.emplace_back(name, picture);
  std::stable_sort(pictures.begin(), pictures.end(),
                   [](const auto& a, const auto& b) { return a.second.order < b.second.order; });
  return pictures;
}

// The last profiles, and what else is a line: means over layers and heads, a line an arm.
std::vector<Content> profiles(const PlanResults& p) {
  std::vector<Content> contents;
  for (const auto& [name, picture] : pictures_of(p, Picture::Kind::line)) {
    LineChart chart{.id = p.plan->name + "-" + slug(name),
                    .title = picture.title,
                    .x_label = picture.axis,
                    .y_label = picture.unit,
                    .from_zero = true,
                    .x_scale = LineChart::Scale::linear};
    for (const std::string& arm : drawn_arms(p)) {
      OverSeeds line;
      for (const RunResult* run : good_runs(p, arm)) {
        for (const RunResult::Array& array : run->arrays) {
          if (array.name != name || array.shape.empty() || array.values.empty()) continue;
          const auto bins = static_cast<std::size_t>(array.shape.back());
          for (std::size_t bin = 0; bin < bins; ++bin) {
            std::vector<double> heads;
            for (std::size_t i = bin; i < array.values.size(); i += bins)
              if (std::isfinite(array.values[i])) heads.push_back(array.values[i]);
            line.add((static_cast<double>(bin) + 0.5) / static_cast<double>(bins), mean(heads));
          }
        }
      }
      Series series = line.series(arm, colour_of(p, arm));
      if (!series.points.empty()) chart.series.push_back(std::move(series));
    }
    if (chart.series.empty()) continue;
    chart.note = over_seeds(p, "At the end, means over layers and heads", " and seeds");
    if (!picture.note.empty()) chart.note.append(" ").append(picture.note);
    chart.note += left_out(p);
    contents.push_back(draw(chart));
  }
  return contents;
}

// The last patterns of the first seed that has them: the first head of each drawn arm.
Content attention_map(const PlanResults& p, const std::string& name, const Picture& picture) {
  AttentionMap map{.id = p.plan->name + "-" + slug(name), .title = picture.title};
  for (const std::uint64_t seed : p.plan->seeds) {
    Index step = 0;
    bool several_heads = false;
    for (const std::string& arm : drawn_arms(p)) {
      for (const RunResult* run : good_runs(p, arm)) {
        if (run->seed != seed) continue;
        for (const RunResult::Array& array : run->arrays) {
          if (array.name != name || array.shape.size() != 4) continue;
          const auto cells = static_cast<std::size_t>(array.shape[2] * array.shape[3]);
          if (array.shape[2] != array.shape[3] || array.values.size() < cells) continue;
          const auto end = array.values.begin() + static_cast<std::ptrdiff_t>(cells);
          map.panels.push_back({arm, static_cast<int>(array.shape[2]), {array.values.begin(), end}});
          step = std::max(step, array.step);
          // Of several heads a result keeps the map of the first.
          for (const char* option : {"layers", "heads"}) {
            const auto found = run->options.find(option);
            several_heads = several_heads || (found != run->options.end() && found->second != "1");
          }
        }
      }
    }
    if (map.panels.empty()) continue;
    map.note = "One held-out sequence at step " + grouped(static_cast<double>(step)) + ", seed " +
               std::to_string(seed) + (several_heads ? ", the first head of the first layer" : "") + ". " +
               picture.note + left_out(p);
    break;
  }
  return draw(map);
}

std::vector<Content> attention_maps(const PlanResults& p) {
  std::vector<Content> contents;
  for (const auto& [name, picture] : pictures_of(p, Picture::Kind::pattern))
    if (Content map = attention_map(p, name, picture); !map.figures.empty() && !map.figures[0].panels.empty())
      contents.push_back(std::move(map));
  return contents;
}

void add(std::vector<Content>& to, std::vector<Content> more) {
  for (Content& content : more) to.push_back(std::move(content));
}

}  // namespace

std::string arm_options(const Plan& plan) {
  Table table{.columns = {{"arm"}, {"options of train"}}, .sortable = false};
  table.rows.push_back({"all arms", plan.options});
  for (const Arm& arm : plan.arms) table.rows.push_back({arm.name, arm.options.empty() ? "–" : arm.options});
  return folded("Options of the arms", show(table));
}

std::vector<Content> figures_of(const PlanResults& p) {
  std::vector<Content> contents = curves(p);
  add(contents, forests(p));
  contents.emplace_back(arm_table(p));
  contents.emplace_back(arm_options(*p.plan));
  add(contents, profiles(p));
  add(contents, attention_maps(p));
  add(contents, spectra(p));
  return contents;
}

}  // namespace ef
