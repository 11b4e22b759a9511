// Interval plots, also called forest plots.
#include <algorithm>

#include "train/plot/axes.h"

namespace ef {
namespace {

using namespace svg;

bool has_interval(const IntervalPlot::Row& row) { return drawable(row.low) && drawable(row.high); }

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

// How far from the reference the axis shows what the rows say. A row that reaches much farther than most is
// cut off there: its digits stand at the right, and all others would be dots.
double most_shown(const IntervalPlot& plot) {
  std::vector<double> reaches;
  if (!plot.reference || !drawable(*plot.reference)) return std::numeric_limits<double>::infinity();
  for (const IntervalPlot::Row& row : plot.rows) {
    double reach = 0;
    for (const double end : {row.value, row.low, row.high})
      if (drawable(end)) reach = std::max(reach, std::fabs(end - *plot.reference));
    if (!is_heading(row)) reaches.push_back(reach);
  }
  return far_from(reaches);
}

std::string arrow(double x, double y, int direction) {
  return to('M', x - 6 * direction, y - 5) + to('L', x, y) + to('L', x - 6 * direction, y + 5);
}

}  // namespace

Figure draw(const IntervalPlot& plot) {
  Figure figure{.id = plot.id, .title = plot.title, .note = plot.note};
  figure.csv = "row," + csv_field(plot.value_label) + ",low,high\n";
  const double most = most_shown(plot);
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
    const auto include = [&](double x) {
      if (!std::isfinite(most) || std::fabs(x - *plot.reference) <= most) range.include(x);
    };
    if (drawable(row.value)) include(row.value);
    if (!has_interval(row)) continue;
    include(row.low);
    include(row.high);
  }
  if (range.empty()) return figure;
  const bool with_reference = plot.reference && drawable(*plot.reference);
  if (with_reference) range.include(*plot.reference);

  constexpr double row_height = 26;
  const bool noted = !plot.better_low.empty() || !plot.better_high.empty();
  const double left = std::min(label_width, 0.4 * plot.width) + 16;
  const double right = plot.width - 16 - std::min(digits_width, 0.3 * plot.width);
  const double top = noted ? 26 : 6, bottom = top + row_height * static_cast<double>(plot.rows.size());
  const Axis axis = linear_axis(range, std::max(2, static_cast<int>((right - left) / 90)));
  const auto x_of = [&](double x) { return left + (right - left) * axis.place(x); };
  const auto place = [&](double x) { return std::clamp(x_of(x), left, right); };
  const auto beyond = [&](double x) {  // the axis: on which side, 0 if it is not
    if (!drawable(x) || std::fabs(x_of(x) - place(x)) < 0.5) return 0;
    return x_of(x) < left ? -1 : 1;
  };

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
    if (has_interval(row)) {
      std::string d = to('M', place(row.low), y) + to('L', place(row.high), y);
      for (const double x : {row.low, row.high})
        d += beyond(x) != 0 ? arrow(place(x), y, beyond(x)) : to('M', place(x), y - 4) + "v8";
      html += path(colour + " line", d, row.label + ": " + in_digits(row, 6));
    }
    if (!drawable(row.value)) continue;
    if (beyond(row.value) == 0)
      html += circle(x_of(row.value), y, row.colour, row.label + ": " + in_digits(row, 6), 4.5);
    else if (!has_interval(row))
      html += path(colour + " line", arrow(place(row.value), y, beyond(row.value)));
  }
  const auto is_cut = [&](const IntervalPlot::Row& row) {
    return beyond(row.value) != 0 || (has_interval(row) && (beyond(row.low) != 0 || beyond(row.high) != 0));
  };
  if (std::any_of(plot.rows.begin(), plot.rows.end(), is_cut))
    figure.note += std::string(figure.note.empty() ? "" : " ") + "An arrow goes on beyond the axis.";
  figure.panels.push_back({double(plot.width), bottom + 42, plot.title, html});
  return figure;
}

}  // namespace ef
