// Line charts.
#include <algorithm>

#include "train/plot/axes.h"

namespace ef {
namespace {

using namespace svg;

// A line of a hundred thousand points is more than a screen has: of each bucket of neighbours, the least and
// the greatest are enough. What is not finite stays, as the gap that it is.
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, std::size_t buckets) {
  if (points.size() <= 2 * buckets) return points;
  std::vector<ChartPoint> kept;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(bucket * points.size() / buckets);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>((bucket + 1) * points.size() / buckets);
    const auto gap = std::find_if(begin, end, [](const ChartPoint& p) { return !drawable(p); });
    const auto [least, greatest] =
        std::minmax_element(begin, gap, [](const ChartPoint& a, const ChartPoint& b) { return a.y < b.y; });
    if (least != gap) {
      kept.push_back(*std::min(least, greatest));
      if (least != greatest) kept.push_back(*std::max(least, greatest));
    }
    if (gap != end) kept.push_back(*gap);
  }
  return kept;
}

constexpr std::size_t most_rows = 1000;  // buckets of a series in the CSV, of two rows each at most

bool drawable(const ChartSpread& s, bool logarithmic) {
  return svg::drawable(s.x) && svg::drawable(s.low, logarithmic) && svg::drawable(s.high, logarithmic);
}

// Where x is on the chart.
struct Across {
  Axis axis;
  double left, right;

  double operator()(double x) const { return left + (right - left) * axis.place(x); }
};

// What is drawn of a chart: the places of all data on the sheet.
struct Sheet {
  Across x_of;
  Axis y_axis;
  double top, bottom;
  bool logarithmic;

  double y_of(double y) const { return bottom - (bottom - top) * y_axis.place(y); }
  bool shows(const ChartPoint& p) const { return svg::drawable(p, logarithmic); }
  bool shows(const ChartSpread& s) const { return drawable(s, logarithmic); }
};

std::string error_bar(const ChartSpread& s, const Sheet& sheet) {
  const double x = sheet.x_of(s.x), low = sheet.y_of(s.low), high = sheet.y_of(s.high);
  return to('M', x - 4, low) + "h8" + to('M', x - 4, high) + "h8" + to('M', x, low) + to('L', x, high);
}

// As a band, where it has neighbours and bars are not asked for.
std::string spread(const Series& series, const Sheet& sheet) {
  std::string bands, bars;
  for (std::size_t i = 0; i < series.spread.size();) {
    std::string there, back;
    std::size_t end = i;
    for (; end < series.spread.size() && sheet.shows(series.spread[end]); ++end) {
      const ChartSpread& s = series.spread[end];
      if (end > i && series.bars) break;
      there += to(end == i ? 'M' : 'L', sheet.x_of(s.x), sheet.y_of(s.high));
      back.insert(0, to('L', sheet.x_of(s.x), sheet.y_of(s.low)));
    }
    if (end == i + 1) bars += error_bar(series.spread[i], sheet);
    if (end > i + 1) bands += there + back + 'z';
    i = std::max(end, i + 1);
  }
  const std::string colour = colour_class(series.colour);
  return (bands.empty() ? "" : path(colour + " band", bands)) +
         (bars.empty() ? "" : path(colour + " line dotted", bars));
}

std::string line(const Series& series, const Sheet& sheet, const LineChart& chart) {
  const bool dots = series.look == Series::Look::dots || series.look == Series::Look::points;
  const std::vector<ChartPoint> points = thinned(series.points, static_cast<std::size_t>(chart.width));
  std::string all, circles;
  bool joined = false;  // to the point before
  for (std::size_t i = 0; i < points.size(); ++i) {
    const ChartPoint& p = points[i];
    if (!sheet.shows(p)) {
      joined = false;
      continue;
    }
    all += to(joined ? 'L' : 'M', sheet.x_of(p.x), sheet.y_of(p.y));
    // A line of one point would not be seen.
    const bool alone = !joined && (i + 1 == points.size() || !sheet.shows(points[i + 1]));
    joined = true;
    if (dots || alone) {
      const std::string x = chart.x_scale == LineChart::Scale::steps ? grouped(p.x) : concise(p.x, 4);
      circles +=
          circle(sheet.x_of(p.x), sheet.y_of(p.y), series.colour,
                 told(series.label, p.y, " at " + chart.x_label + ' ' + x), points.size() > 60 ? 1.8 : 3);
    }
  }
  const bool lined = series.look != Series::Look::points && !all.empty();
  return (lined ? path(classes(series.colour, series.look), all, series.label) : "") + circles;
}

std::string axes(const LineChart& chart, const Sheet& sheet) {
  const Across& x_of = sheet.x_of;
  std::string html;
  for (const Tick& tick : sheet.y_axis.ticks) {
    html += rule("grid", x_of.left, sheet.y_of(tick.value), x_of.right, sheet.y_of(tick.value));
    html += text(x_of.left - 8, sheet.y_of(tick.value) + 4, "end", tick.label);
  }
  html += rule("axis", x_of.left, sheet.bottom, x_of.right, sheet.bottom);
  const auto mark = [&](double x, const std::string& label) {
    html += rule("axis", x, sheet.bottom, x, sheet.bottom + 5);
    const bool at_end = x + width_of(label) / 2 > chart.width;
    html += text(at_end ? chart.width : x, sheet.bottom + 19, at_end ? "end" : "middle", label);
  };
  for (const Tick& tick : x_of.axis.ticks) mark(x_of(tick.value), tick.label);
  const auto with_unit = [](const std::string& label, const std::string& unit) {
    return label + (!label.empty() && !unit.empty() ? ", " : "") + unit;
  };
  const std::string y_label = with_unit(chart.y_label, chart.logarithmic ? "logarithmic" : "");
  html += text(0, 12, "start", with_unit(y_label, sheet.y_axis.unit));
  return html + text(x_of.right, sheet.bottom + 36, "end", with_unit(chart.x_label, x_of.axis.unit));
}

// A row for each point, with the spread at its place, and for each spread without a point.
std::string numbers(const LineChart& chart) {
  std::string csv = "series," + csv_field(chart.x_label) + ',' +
                    csv_field(chart.y_label.empty() ? "value" : chart.y_label) + ",low,high\n";
  for (const Series& series : chart.series) {
    const std::vector<ChartPoint> points = thinned(series.points, most_rows);
    auto spread = series.spread.begin();
    const std::string name = csv_field(series.label) + ',';
    const auto ends = [&](const ChartSpread& s) { return ',' + exact(s.low) + ',' + exact(s.high) + '\n'; };
    for (const ChartPoint& p : points) {
      for (; spread != series.spread.end() && spread->x < p.x; ++spread)
        csv += name + exact(spread->x) + ',' + ends(*spread);
      csv += name + exact(p.x) + ',' + exact(p.y);
      csv += spread != series.spread.end() && spread->x == p.x ? ends(*spread++) : ",,\n";
    }
    for (; spread != series.spread.end(); ++spread) csv += name + exact(spread->x) + ',' + ends(*spread);
  }
  return csv;
}

}  // namespace

Figure draw(const LineChart& chart) {
  Figure figure{.id = chart.id, .title = chart.title, .note = chart.note};
  Range x_range, y_range;
  const auto include = [&](double x, double low, double high) {
    x_range.include(x);
    y_range.include(low);
    y_range.include(high);
  };
  for (const Series& series : chart.series) {
    if (!series.drawn) continue;
    for (const ChartPoint& p : series.points)
      if (svg::drawable(p, chart.logarithmic)) include(p.x, p.y, p.y);
    for (const ChartSpread& s : series.spread)
      if (drawable(s, chart.logarithmic)) include(s.x, s.low, s.high);
  }
  if (y_range.empty()) return figure;
  if (chart.from_zero) y_range.include(0);
  if (chart.low && !chart.logarithmic) y_range.include(*chart.low);
  if (chart.high && !chart.logarithmic) y_range.include(*chart.high);

  Sheet sheet{
      .x_of = {}, .y_axis = {}, .top = 26, .bottom = chart.height - 42.0, .logarithmic = chart.logarithmic};
  sheet.y_axis =
      chart.logarithmic ? logarithmic_axis(y_range) : linear_axis(y_range, std::max(2, chart.height / 55));
  const double left = 8 + sheet.y_axis.label_width(), right = chart.width - 5;
  Axis x_axis = chart.x_scale == LineChart::Scale::steps ? step_axis(x_range, chart.width / 110)
                                                         : linear_axis(x_range, chart.width / 110);
  sheet.x_of = {x_axis, left, right};

  std::string html = axes(chart, sheet);
  for (const Series& series : chart.series)
    if (series.drawn) html += spread(series, sheet);
  for (const Series& series : chart.series)
    if (series.drawn) html += line(series, sheet, chart);
  figure.panels.push_back({double(chart.width), double(chart.height), chart.title, html});
  if (chart.legend) {
    for (const Series& series : chart.series) {
      if (!series.drawn || series.label.empty() || (series.points.empty() && series.spread.empty())) continue;
      std::string picture = line_picture(series.colour, series.look);
      if (!series.spread.empty() && !series.bars)
        picture = path(colour_class(series.colour) + " band", "M1 0H25V10H1z") + picture;
      figure.legend.push_back({picture, series.label});
    }
  }
  figure.csv = numbers(chart);
  figure.thinned = std::any_of(chart.series.begin(), chart.series.end(),
                               [](const Series& series) { return series.points.size() > 2 * most_rows; });
  return figure;
}

}  // namespace ef
