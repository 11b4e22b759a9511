// Interval plots, also called forest plots.
#include <algorithm>

#include "train/svg_parts.h"

namespace ef {
namespace {

using namespace svg;

bool has_interval(const IntervalPlot::Row& row, bool logarithmic) {
  return drawable(row.low, logarithmic) && drawable(row.high, logarithmic);
}

bool is_heading(const IntervalPlot::Row& row) {
  return !std::isfinite(row.value) && !std::isfinite(row.low) && !std::isfinite(row.high);
}

// "-0.021 [-0.04, -0.002]"
std::string in_digits(const IntervalPlot::Row& row, int digits) {
  std::string words = std::isfinite(row.value) ? concise(row.value, digits) : "";
  if (std::isfinite(row.low) && std::isfinite(row.high))
    words += " [" + concise(row.low, digits) + ", " + concise(row.high, digits) + "]";
  return words;
}

}  // namespace

Figure draw(const IntervalPlot& plot) {
  Figure figure{.id = plot.id, .title = plot.title, .note = plot.note};
  figure.csv = "row,value,low,high\n";
  Range range;
  double label_width = 0, digits_width = 0;
  std::vector<std::string> digits;
  for (const IntervalPlot::Row& row : plot.rows) {
    const bool heading = is_heading(row);
    if (!heading)
      figure.csv +=
          csv_field(row.label) + ',' + exact(row.value) + ',' + exact(row.low) + ',' + exact(row.high) + '\n';
    digits.push_back(!row.text.empty() || heading ? row.text : in_digits(row, plot.digits));
    label_width = std::max(label_width, width_of(row.label));
    digits_width = std::max(digits_width, width_of(digits.back()));
    if (drawable(row.value, plot.logarithmic)) range.include(row.value);
    if (!has_interval(row, plot.logarithmic)) continue;
    range.include(row.low);
    range.include(row.high);
  }
  if (range.empty()) return figure;
  const bool with_reference = plot.reference && drawable(*plot.reference, plot.logarithmic);
  if (with_reference) range.include(*plot.reference);

  constexpr double row_height = 26;
  const bool noted = !plot.better_low.empty() || !plot.better_high.empty();
  const double left = std::min(label_width, 0.4 * plot.width) + 16;
  const double right = plot.width - 16 - std::min(digits_width, 0.3 * plot.width);
  const double top = noted ? 26 : 6, bottom = top + row_height * static_cast<double>(plot.rows.size());
  const Axis axis = plot.logarithmic ? logarithmic_axis(range)
                                     : linear_axis(range, std::max(2, static_cast<int>((right - left) / 90)));
  const auto x_of = [&](double x) { return left + (right - left) * axis.place(x); };

  std::string html;
  for (const Tick& tick : axis.ticks) {
    html += rule("grid", x_of(tick.value), top, x_of(tick.value), bottom);
    html += text(x_of(tick.value), bottom + 17, "middle", tick.label);
  }
  html += rule("axis", left, bottom, right, bottom);
  html += text(right, bottom + 34, "end",
               plot.x_label + (plot.x_label.empty() || axis.unit.empty() ? "" : ", ") + axis.unit);
  if (with_reference) {
    const double at = x_of(*plot.reference);
    html += rule("ink", at, top - 2, at, bottom);
    if (!plot.better_low.empty())
      html += text(std::max(at - 8, width_of(plot.better_low) + 14), 12, "end", "← " + plot.better_low);
    if (!plot.better_high.empty())
      html += text(std::min(at + 8, plot.width - width_of(plot.better_high) - 14), 12, "start",
                   plot.better_high + " →");
  }
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const IntervalPlot::Row& row = plot.rows[i];
    const double y = top + row_height * (static_cast<double>(i) + 0.5);
    html += text(0, y + 4, "start", cut_to(row.label, left - 16), is_heading(row) ? "strong" : "words");
    html += text(plot.width, y + 4, "end", cut_to(digits[i], plot.width - right - 16));
    const std::string colour = colour_class(row.colour);
    if (has_interval(row, plot.logarithmic)) {
      const double low = x_of(row.low), high = x_of(row.high);
      html += path(colour + " line", to('M', low, y - 4) + "v8" + to('M', low, y) + to('L', high, y) +
                                         to('M', high, y - 4) + "v8");
    }
    if (drawable(row.value, plot.logarithmic))
      html += circle(x_of(row.value), y, row.colour, row.label + ": " + in_digits(row, 6), 4.5);
  }
  figure.panels.push_back({double(plot.width), bottom + 42, plot.title, html});
  return figure;
}

}  // namespace ef
