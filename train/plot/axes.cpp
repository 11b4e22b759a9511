#include "train/plot/axes.h"

#include <algorithm>
#include <array>

namespace ef::svg {
namespace {

// "×10⁻³", with superscript digits.
std::string times_ten_to(int exponent) {
  static const std::array<const char*, 10> digits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "×10⁻" : "×10";
  for (const char digit : std::to_string(std::abs(exponent))) text += digits[digit - '0'];
  return text;
}

}  // namespace

double nice_step(double range, int wanted) {
  const double raw = range / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power > 0.999 * raw) return factor * power;
  return 10 * power;
}

void set_ticks(Axis& axis, double step, double first, double last, double end, int small, int large) {
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

Axis logarithmic_axis(const Range& range) {
  const auto factor = [](int i) { return std::array{1, 2, 5}[i % 3]; };
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
  const bool as_powers = std::abs(power(first)) > 4 || std::abs(power(last)) > 4;
  for (int i = first; i <= last; ++i) {
    if (last - first > 6 && (factor(i) != 1 || power(i) % stride != 0)) continue;
    std::string label = fixed(value(i), std::max(0, -power(i)));
    if (as_powers) {
      const std::string times = times_ten_to(power(i));
      label = factor(i) == 1 ? times.substr(std::string_view("×").size()) : std::to_string(factor(i)) + times;
    }
    axis.ticks.push_back({value(i), label});
  }
  return axis;
}

Axis step_axis(Range range, int wanted) {
  if (range.low >= 0 && range.low <= range.high / 2) range.low = 0;
  // A step of 1 must be a step: beyond 2^53 one more is no other number.
  const double room = std::max(1.0, 1e-9 * std::fabs(range.high));
  if (range.high - range.low < room) {
    if (range.low >= room) range.low -= room;
    range.high += room;
  }
  const double step = std::max(1.0, nice_step(range.high - range.low, wanted));
  Axis axis;
  axis.low = range.low;
  axis.high = range.high;
  for (double i = std::ceil(range.low / step); i * step <= range.high; ++i)
    axis.ticks.push_back({i * step, grouped(i * step)});
  return axis;
}

Axis tight_axis(const Range& range, bool logarithmic, int wanted) {
  // Ticks of round numbers may lie beyond the ends: where fewer than three are left, there must be more.
  for (const int most = wanted + 3;; ++wanted) {
    Axis axis = logarithmic ? logarithmic_axis(range) : linear_axis(range, wanted);
    if (!(range.high > range.low)) return axis;
    axis.low = range.low;
    axis.high = range.high;
    const double room = 1e-6;
    std::erase_if(axis.ticks, [&](const Tick& tick) {
      return axis.place(tick.value) < -room || axis.place(tick.value) > 1 + room;
    });
    if (logarithmic || axis.ticks.size() >= 3 || wanted == most) return axis;
  }
}

double Axis::label_width() const {
  double widest = 7;
  for (const Tick& tick : ticks) widest = std::max(widest, width_of(tick.label));
  return std::min(widest, 63.0);
}

// ---- SVG

std::string text(double x, double y, const char* anchor, const std::string& words, const char* kind) {
  std::string html =
      "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor + '"';
  if (*kind != 0) html += std::string(" class=\"") + kind + '"';
  return html + '>' + escape_html(words) + "</text>\n";
}

std::string rule(const char* kind, double x1, double y1, double x2, double y2) {
  return std::string("<line class=\"") + kind + "\" x1=\"" + fixed(x1, 1) + "\" y1=\"" + fixed(y1, 1) +
         "\" x2=\"" + fixed(x2, 1) + "\" y2=\"" + fixed(y2, 1) + "\"/>\n";
}

std::string box(const char* kind, double x, double y, double width, double height) {
  return std::string("<rect class=\"") + kind + "\" fill=\"none\" x=\"" + fixed(x, 1) + "\" y=\"" +
         fixed(y, 1) + "\" width=\"" + fixed(width, 1) + "\" height=\"" + fixed(height, 1) + "\"/>\n";
}

std::string circle(double x, double y, int colour, const std::string& tooltip, double radius) {
  std::string html = "<circle class=\"c" + std::to_string(colour) + " dot\" cx=\"" + fixed(x, 1) +
                     "\" cy=\"" + fixed(y, 1) + "\" r=\"" + fixed(radius, 1);
  if (tooltip.empty()) return html + "\"/>\n";
  return html + "\"><title>" + escape_html(tooltip) + "</title></circle>\n";
}

std::string to(char command, double x, double y) {
  std::string out(1, command);
  return out.append(fixed(x, 1)).append(1, ' ').append(fixed(y, 1));
}

std::string colour_class(int colour) { return std::string(1, 'c').append(std::to_string(colour)); }

std::string path(const std::string& kind, const std::string& d, const std::string& tooltip) {
  std::string html = "<path class=\"" + kind + "\" d=\"" + d;
  if (tooltip.empty()) return html + "\"/>\n";
  return html + "\"><title>" + escape_html(tooltip) + "</title></path>\n";
}

namespace {

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

}  // namespace

double width_of(std::string_view words) {
  return 7 * static_cast<double>(std::count_if(words.begin(), words.end(), begins_character));
}

std::string cut_to(const std::string& words, double width) {
  if (width_of(words) <= width) return words;
  double taken = 7;  // the dots
  std::size_t end = 0;
  while (end < words.size() && (!begins_character(words[end]) || (taken += 7) <= width)) ++end;
  return words.substr(0, end) + "…";
}

std::vector<std::string> lines_of(const std::string& words, double width) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(' ', begin), words.size());
    const std::string word = words.substr(begin, end - begin);
    if (lines.empty() || width_of(lines.back() + ' ' + word) > width)
      lines.push_back(word);
    else
      lines.back() += ' ' + word;
    begin = end + 1;
  }
  return lines;
}

std::string classes(int colour, Series::Look look) {
  static constexpr std::array looks = {" line", " line thin", " line dashed", " line dotted", " line dotted"};
  return colour_class(colour) + looks[static_cast<std::size_t>(look)];
}

std::string line_picture(int colour, Series::Look look) {
  std::string picture;
  if (look != Series::Look::points) picture += path(classes(colour, look), "M1 5H25");
  if (look == Series::Look::dots || look == Series::Look::points) picture += circle(13, 5, colour, "", 3);
  return picture;
}

std::string told(const std::string& label, double value, const std::string& where) {
  return (label.empty() ? "" : label + ": ") + concise(value, 5) + where;
}

}  // namespace ef::svg
