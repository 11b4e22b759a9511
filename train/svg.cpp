#include "train/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace ef {
namespace {

// Beyond this a number is as good as infinite, and differences of such numbers would overflow.
constexpr double largest = 1e30;

bool drawable(const ChartPoint& p, bool logarithmic) {
  return std::fabs(p.x) < largest && std::fabs(p.y) < largest && (!logarithmic || p.y > 1 / largest);
}

// "×10⁻³", with superscript digits.
std::string times_ten_to(int exponent) {
  static const std::array<const char*, 10> digits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "×10⁻" : "×10";
  for (const char digit : std::to_string(std::abs(exponent)))
    text += digits[static_cast<std::size_t>(digit - '0')];
  return text;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

struct Tick {
  double value;
  std::string label;
};

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::string unit;  // a power of ten by which all labels are divided, or ""
  std::vector<Tick> ticks;

  // 0 at the low end, 1 at the high end.
  double place(double value) const {
    return logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
};

// About `wanted` steps of 1, 2 or 5 times a power of ten cover the range.
double nice_step(double range, int wanted) {
  const double raw = range / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power > 0.999 * raw) return factor * power;
  return 10 * power;
}

// Ticks at the multiples of `step` from first to last. `end` is the largest number: where its power of ten is
// not between `small` and `large`, labels are in a unit of that power.
void set_ticks(Axis& axis, double step, double first, double last, double end, int small = -2,
               int large = 5) {
  const int magnitude = static_cast<int>(std::floor(std::log10(end) + 1e-9));
  const int exponent = magnitude < small || magnitude > large ? magnitude : 0;
  if (exponent != 0) axis.unit = times_ten_to(exponent);
  const double scale = std::pow(10.0, -exponent);
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step * scale) + 1e-6)));
  for (double i = first; i <= last; ++i)
    axis.ticks.push_back({i * step, i == 0 ? "0" : fixed(i * step * scale, decimals)});
}

Axis linear_axis(Range range, int wanted) {
  // A single value, or values that differ by rounding only, get some room.
  const double size = std::max(std::fabs(range.low), std::fabs(range.high));
  if (range.high - range.low <= 1e-9 * size || size == 0) {
    if (range.low != 0) range.low -= size / 2;
    range.high += size > 0 ? size / 2 : 1;
  }
  const double step = nice_step(range.high - range.low, wanted);
  const double first = std::floor(range.low / step + 1e-6), last = std::ceil(range.high / step - 1e-6);

  Axis axis;
  axis.low = first * step;
  axis.high = last * step;
  set_ticks(axis, step, first, last, std::max(std::fabs(axis.low), std::fabs(axis.high)));
  return axis;
}

// From one of 1, 2, 5 times a power of ten to another. Where these are many, only powers of ten are labelled.
Axis logarithmic_axis(const Range& range) {
  const auto factor = [](int i) { return std::array{1, 2, 5}[static_cast<std::size_t>(i % 3)]; };
  const int base =
      3 * static_cast<int>(std::floor(std::log10(range.low)) - 1);  // i counts up from this power
  const auto power = [&](int i) { return base / 3 + i / 3; };
  const auto value = [&](int i) { return factor(i) * std::pow(10.0, power(i)); };
  int first = 0;
  while (value(first + 1) <= range.low * (1 + 1e-9)) ++first;
  int last = first + 1;
  while (value(last) < range.high * (1 - 1e-9)) ++last;

  Axis axis;
  axis.logarithmic = true;
  axis.low = value(first);
  axis.high = value(last);
  const int stride = 1 + (last - first) / 24;  // powers of ten from label to label
  for (int i = first; i <= last; ++i) {
    if (last - first > 6 && (factor(i) != 1 || power(i) % stride != 0)) continue;
    axis.ticks.push_back({value(i), std::abs(power(i)) > 4
                                        ? std::to_string(factor(i)) + times_ten_to(power(i))
                                        : fixed(value(i), std::max(0, -power(i)))});
  }
  return axis;
}

// Steps are whole, begin at 0 unless a run's beginning is far away, and end where the data end.
Axis step_axis(Range range, int wanted) {
  if (range.low >= 0 && range.low <= range.high / 2) range.low = 0;
  if (range.high - range.low < 1) {
    if (range.low >= 1) range.low -= 1;
    range.high += 1;
  }
  const double step = std::max(1.0, nice_step(range.high - range.low, wanted));
  Axis axis;
  axis.low = range.low;
  axis.high = range.high;
  for (double i = std::ceil(range.low / step); i * step <= range.high; ++i)
    axis.ticks.push_back({i * step, grouped(i * step)});
  return axis;
}

// A line of a hundred thousand points is more than a screen has: of each bucket of neighbours, the least and
// the greatest are enough. What is not finite stays, as the gap that it is.
std::vector<ChartPoint> thinned(const std::vector<ChartPoint>& points, std::size_t buckets) {
  if (points.size() <= 2 * buckets) return points;
  std::vector<ChartPoint> kept;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    const auto begin = points.begin() + static_cast<std::ptrdiff_t>(bucket * points.size() / buckets);
    const auto end = points.begin() + static_cast<std::ptrdiff_t>((bucket + 1) * points.size() / buckets);
    const auto gap = std::find_if(begin, end, [](const ChartPoint& p) { return !drawable(p, false); });
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

std::string classes(const Series& series) {
  static constexpr std::array looks = {"line", "line thin", "line dashed", "line dotted"};
  return "\"c" + std::to_string(series.colour) + ' ' + looks[static_cast<std::size_t>(series.look)] + '"';
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor + "\">" +
         escape_html(words) + "</text>\n";
}

std::string rule(const char* kind, double x1, double y1, double x2, double y2) {
  return std::string("<line class=\"") + kind + "\" x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) +
         "\" x2=\"" + fixed(x2, 1) + "\" y2=\"" + fixed(y2, 1) + "\"/>\n";
}

std::string circle(double x, double y, const Series& series, const std::string& tooltip, double radius) {
  return "<circle class=\"c" + std::to_string(series.colour) + " dot\" cx=\"" + fixed(x, 1) + "\" cy=\"" +
         fixed(y, 1) + "\" r=\"" + fixed(radius, 1) + "\"><title>" + escape_html(tooltip) +
         "</title></circle>\n";
}

// A small picture in front of a legend's words.
std::string legend_entry(const std::string& picture, const std::string& words) {
  std::string html =
      "<span><svg class=\"key\" viewBox=\"0 0 26 10\" width=\"26\" height=\"10\" aria-hidden=\"true\">";
  html += picture;
  html += "</svg>";
  html += escape_html(words);
  html += "</span>";
  return html;
}

// ---- Parts of scatter figures

// The frame of all panels: `real` and `imaginary` are equally long, and contain 0.
struct Plane {
  Axis real, imaginary;
  bool unit_circle = false;
};

bool drawable(const ChartPoint& p) { return drawable(p, false); }

Plane plane_of(const std::vector<ScatterFigure::Panel>& panels) {
  Range real, imaginary;
  real.include(0);
  imaginary.include(0);
  for (const ScatterFigure::Panel& panel : panels) {
    for (const ChartPoint& p : panel.points) {
      if (!drawable(p)) continue;
      real.include(p.x);
      imaginary.include(p.y);
    }
  }
  Plane plane;
  // A circle that would only make the points small is not drawn.
  plane.unit_circle = std::max({-real.low, real.high, -imaginary.low, imaginary.high}) > 0.7;
  if (plane.unit_circle) {
    for (Range* range : {&real, &imaginary}) {
      range->include(-1);
      range->include(1);
    }
  }
  double side = 1.1 * std::max(real.high - real.low, imaginary.high - imaginary.low);
  if (side < 1 / largest) side = 1;
  const auto set = [&](Axis& axis, const Range& range) {
    axis.low = (range.low + range.high - side) / 2;
    axis.high = axis.low + side;
  };
  set(plane.real, real);
  set(plane.imaginary, imaginary);
  const double end = std::max({-plane.real.low, plane.real.high, -plane.imaginary.low, plane.imaginary.high});
  // Long labels need room: there are fewer of them.
  const auto is_long = [](const Tick& tick) { return tick.label.size() > 4; };
  for (const int wanted : {5, 3}) {
    const double step = nice_step(side, wanted);
    bool crowded = false;
    for (Axis* axis : {&plane.real, &plane.imaginary}) {
      axis->ticks.clear();
      set_ticks(*axis, step, std::ceil(axis->low / step), std::floor(axis->high / step), end, -1, 2);
      crowded = crowded || std::any_of(axis->ticks.begin(), axis->ticks.end(), is_long);
    }
    if (!crowded) break;
  }
  return plane;
}

// Points are the round ends of lines that have no length: a few bytes for each.
std::string spot(double x, double y) { return 'M' + fixed(x, 1) + ' ' + fixed(y, 1) + "h0"; }

std::string cross(double x, double y) { return 'M' + fixed(x - 5, 1) + ' ' + fixed(y, 1) + "h10m-5 -5v10"; }

// "0.25 - 1e-09 i"
std::string complex_number(const ChartPoint& p) {
  return concise(p.x, 4) + (p.y < 0 ? " - " : " + ") + concise(std::fabs(p.y), 4) + " i";
}

std::string draw_panel(const ScatterFigure::Panel& panel, const Plane& plane) {
  std::size_t widest = 1;
  for (const Tick& tick : plane.imaginary.ticks) widest = std::max(widest, tick.label.size());
  constexpr double side = 160, top = 20;
  const double left = 8 + 7 * static_cast<double>(std::min<std::size_t>(widest, 8));
  const double right = left + side, bottom = top + side;
  const auto x_of = [&](double x) { return left + side * plane.real.place(x); };
  const auto y_of = [&](double y) { return bottom - side * plane.imaginary.place(y); };

  std::string path;
  ChartPoint mean;
  double count = 0;
  for (const ChartPoint& p : panel.points) {
    if (!drawable(p)) continue;
    path += spot(x_of(p.x), y_of(p.y));
    mean.x += p.x;
    mean.y += p.y;
    ++count;
  }
  if (path.empty()) return "";
  mean.x /= count;
  mean.y /= count;

  std::string html = "<svg viewBox=\"0 0 " + fixed(right + 6, 0) + ' ' + fixed(bottom + 22, 0) +
                     "\" role=\"img\" aria-label=\"" + escape_html(panel.title) + "\">\n";
  html += text(left, 12, "start", panel.title);
  html += text(right, 12, "end", plane.real.unit);
  html += "<rect class=\"grid\" fill=\"none\" x=\"" + fixed(left, 1) + "\" y=\"" + fixed(top, 1);
  html += "\" width=\"" + fixed(side, 1) + "\" height=\"" + fixed(side, 1) + "\"/>\n";
  html += rule("axis faint", left, y_of(0), right, y_of(0));
  html += rule("axis faint", x_of(0), top, x_of(0), bottom);
  if (plane.unit_circle) {
    html += "<circle class=\"axis faint\" fill=\"none\" cx=\"" + fixed(x_of(0), 1) + "\" cy=\"";
    html += fixed(y_of(0), 1) + "\" r=\"" + fixed(x_of(1) - x_of(0), 1) + "\"/>\n";
  }
  for (const Tick& tick : plane.real.ticks) {
    html += rule("axis", x_of(tick.value), bottom, x_of(tick.value), bottom + 4);
    html += text(x_of(tick.value), bottom + 17, "middle", tick.label);
  }
  for (const Tick& tick : plane.imaginary.ticks) {
    html += rule("axis", left - 4, y_of(tick.value), left, y_of(tick.value));
    html += text(left - 7, y_of(tick.value) + 4, "end", tick.label);
  }
  html += "<path class=\"c1 spots\" d=\"" + path + "\"/>\n";
  html += "<path class=\"c2 line dotted\" d=\"" + cross(x_of(mean.x), y_of(mean.y)) + "\"><title>mean ";
  html += complex_number(mean) + "</title></path>\n";
  return html + "</svg>\n";
}

}  // namespace

std::string legend(const std::vector<Series>& all) {
  std::string html = "<div class=\"legend\">";
  for (const Series& series : all) {
    if (series.points.empty()) continue;
    std::string picture = "<path class=";
    picture += classes(series) + " d=\"M1 5H25\"/>";
    if (series.look == Series::Look::dots) picture += circle(13, 5, series, series.label, 3);
    html += legend_entry(picture, series.label);
  }
  return html + "</div>\n";
}

std::string draw(const LineChart& chart) {
  std::string html = "<figure class=\"chart\"><figcaption>" + escape_html(chart.title) + "</figcaption>\n";
  Range x_range, y_range;
  for (const Series& series : chart.series) {
    for (const ChartPoint& p : series.points) {
      if (!drawable(p, chart.logarithmic)) continue;
      x_range.include(p.x);
      y_range.include(p.y);
    }
  }
  if (x_range.low > x_range.high) return html + "<p class=\"none\">nothing to draw yet</p></figure>\n";
  if (chart.from_zero) y_range.include(0);
  if (chart.legend) html += legend(chart.series);

  const Axis x_axis = step_axis(x_range, chart.width / 110);
  const Axis y_axis =
      chart.logarithmic ? logarithmic_axis(y_range) : linear_axis(y_range, std::max(2, chart.height / 55));
  std::size_t widest = 1;
  for (const Tick& tick : y_axis.ticks) widest = std::max(widest, tick.label.size());
  // Room for the labels: a digit is about 7 wide in text of 12.
  const double left = 14 + 7 * static_cast<double>(std::min<std::size_t>(widest, 9)), right = chart.width - 5;
  const double top = 26, bottom = chart.height - 42;
  const auto x_of = [&](double x) { return left + (right - left) * x_axis.place(x); };
  const auto y_of = [&](double y) { return bottom - (bottom - top) * y_axis.place(y); };

  html += std::string("<svg") + (chart.width > 560 ? " class=\"wide\"" : "") + " viewBox=\"0 0 " +
          std::to_string(chart.width) + ' ' + std::to_string(chart.height) + "\" role=\"img\" aria-label=\"" +
          escape_html(chart.title) + "\">\n";
  for (const Tick& tick : y_axis.ticks) {
    html += rule("grid", left, y_of(tick.value), right, y_of(tick.value));
    html += text(left - 8, y_of(tick.value) + 4, "end", tick.label);
  }
  html += rule("axis", left, bottom, right, bottom);
  for (const Tick& tick : x_axis.ticks) {
    html += rule("axis", x_of(tick.value), bottom, x_of(tick.value), bottom + 5);
    const bool at_end = x_of(tick.value) + 3.5 * static_cast<double>(tick.label.size()) > chart.width;
    html += text(x_of(tick.value), bottom + 19, at_end ? "end" : "middle", tick.label);
  }
  const bool both = !chart.y_label.empty() && !y_axis.unit.empty();
  html += text(0, 12, "start", chart.y_label + (both ? ", " : "") + y_axis.unit);
  html += text(right, bottom + 36, "end", chart.x_label);

  for (const Series& series : chart.series) {
    const bool dots = series.look == Series::Look::dots;
    std::string path, circles;
    std::size_t run = 0;  // points since the last gap
    const std::vector<ChartPoint> points = thinned(series.points, static_cast<std::size_t>(chart.width));
    for (std::size_t i = 0; i < points.size(); ++i) {
      const ChartPoint& p = points[i];
      if (!drawable(p, chart.logarithmic)) {
        run = 0;
        continue;
      }
      path += (run++ == 0 ? 'M' : 'L') + fixed(x_of(p.x), 1) + ' ' + fixed(y_of(p.y), 1);
      // A line of one point would not be seen.
      const bool alone = run == 1 && (i + 1 == points.size() || !drawable(points[i + 1], chart.logarithmic));
      if (dots || alone) {
        circles += circle(x_of(p.x), y_of(p.y), series,
                          series.label + ": " + concise(p.y, 5) + " at " + chart.x_label + ' ' + grouped(p.x),
                          points.size() > 60 ? 1.8 : 3);
      }
    }
    if (!path.empty())
      html += "<path class=" + classes(series) + " d=\"" + path + "\"><title>" + escape_html(series.label) +
              "</title></path>\n";
    html += circles;
  }
  return html + "</svg></figure>\n";
}

std::string draw(const ScatterFigure& figure) {
  const Plane plane = plane_of(figure.panels);
  std::string panels;
  for (const ScatterFigure::Panel& panel : figure.panels) panels += draw_panel(panel, plane);
  if (panels.empty()) return "";
  std::string html = "<figure class=\"chart\"><figcaption>" + escape_html(figure.title) + "</figcaption>\n";
  html += "<div class=\"legend\">";
  html += legend_entry("<path class=\"c1 spots\" d=\"" + spot(13, 5) + "\"/>", figure.points_label);
  html += legend_entry("<path class=\"c2 line dotted\" d=\"" + cross(13, 5) + "\"/>", "their mean");
  if (plane.unit_circle)
    html += legend_entry("<circle class=\"axis\" fill=\"none\" cx=\"13\" cy=\"5\" r=\"4\"/>", "unit circle");
  html += "</div>\n<div class=\"panels\">\n" + panels + "</div>\n";
  if (!figure.note.empty()) html += "<p class=\"note\">" + escape_html(figure.note) + "</p>\n";
  return html + "</figure>\n";
}

std::string chart_style() {
  return R"(
:root { --c0: #6b7280; --c1: #2b6cb0; --c2: #c2570c; --c3: #2f7d4f; --c4: #7a4fb5; --c5: #b8394a; --c6: #0e7f8c; --c7: #8a6d00; --c8: #b0448f; --grid: #e4e6ea; --axis: #9aa1ab; --muted: #5f6672; --ground: #ffffff; }
@media (prefers-color-scheme: dark) {
  :root { --c0: #98a0ad; --c1: #74b0f4; --c2: #f29d5b; --c3: #74c995; --c4: #b99af0; --c5: #f08a94; --c6: #5cc7d3; --c7: #d6b84a; --c8: #ec93cf; --grid: #2a2f37; --axis: #5b6370; --muted: #a0a7b3; --ground: #15181d; }
}
@media print {
  :root { --c0: #6b7280; --c1: #2b6cb0; --c2: #c2570c; --c3: #2f7d4f; --c4: #7a4fb5; --c5: #b8394a; --c6: #0e7f8c; --c7: #8a6d00; --c8: #b0448f; --grid: #e4e6ea; --axis: #9aa1ab; --muted: #5f6672; --ground: #ffffff; }
}
.chart { margin: 0; overflow-x: auto; break-inside: avoid; }
.chart figcaption { font-weight: 600; }
.chart > svg { display: block; width: 100%; height: auto; margin-top: 0.5rem; }
.chart text { font-size: 12px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: 0.15rem 1.4rem; margin-top: 0.15rem; font-size: 0.8125rem; color: var(--muted); }
.legend span { display: inline-flex; align-items: center; gap: 0.45rem; }
.chart .none { color: var(--muted); }
.grid { stroke: var(--grid); }
.axis { stroke: var(--axis); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.thin { stroke-width: 1; opacity: 0.5; }
.key .thin { opacity: 0.75; }
.dashed { stroke-width: 1.5; stroke-dasharray: 5 5; stroke-linecap: butt; }
.dotted { stroke-width: 1.5; }
.dot { stroke: var(--ground); stroke-width: 1; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); } .c4 { stroke: var(--c4); }
.c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); } .c8 { stroke: var(--c8); }
.dot { stroke: var(--ground); }
.dot.c0 { fill: var(--c0); } .dot.c1 { fill: var(--c1); } .dot.c2 { fill: var(--c2); } .dot.c3 { fill: var(--c3); } .dot.c4 { fill: var(--c4); }
.dot.c5 { fill: var(--c5); } .dot.c6 { fill: var(--c6); } .dot.c7 { fill: var(--c7); } .dot.c8 { fill: var(--c8); }
.spots { fill: none; stroke-width: 4; stroke-linecap: round; stroke-opacity: 0.7; }
.faint { stroke-width: 1; opacity: 0.6; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1.25rem 1.5rem; margin-top: 0.75rem; }
.panels svg { display: block; width: 100%; height: auto; break-inside: avoid; }
.chart .note { margin: 0.75rem 0 0; font-size: 0.8125rem; color: var(--muted); }
@media (max-width: 620px) { .chart > .wide { min-width: 560px; } }
)";
}

std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, std::size_t reach) {
  std::vector<ChartPoint> finite;
  for (const ChartPoint& p : points)
    if (drawable(p, false)) finite.push_back(p);
  std::vector<double> sums(finite.size() + 1);  // of the first i values: a mean is then one difference
  for (std::size_t i = 0; i < finite.size(); ++i) sums[i + 1] = sums[i] + finite[i].y;
  std::vector<ChartPoint> out = finite;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t r = std::min({reach, i, out.size() - 1 - i});
    out[i].y = (sums[i + r + 1] - sums[i - r]) / static_cast<double>(2 * r + 1);
  }
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f)
          out += "\xEF\xBF\xBD";  // U+FFFD
        else
          out += c;
    }
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char buffer[400];  // the largest double has 309 digits
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

std::string concise(double value, int digits) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string grouped(double value) {
  std::string digits = fixed(std::fabs(value), 0);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return (value <= -0.5 ? "-" : "") + digits;
}

}  // namespace ef
