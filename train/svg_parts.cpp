#include "train/svg_parts.h"

#include <algorithm>
#include <array>

namespace ef::svg {
namespace {

// "×10⁻³", with superscript digits.
std::string times_ten_to(int exponent) {
  static const std::array<const char*, 10> digits = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "×10⁻" : "×10";
  for (const char digit : std::to_string(std::abs(exponent)))
    text += digits[static_cast<std::size_t>(digit - '0')];
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

Axis tight_axis(const Range& range, bool logarithmic, int wanted) {
  Axis axis = logarithmic ? logarithmic_axis(range) : linear_axis(range, wanted);
  if (range.high > range.low) {
    axis.low = range.low;
    axis.high = range.high;
    const double room = 1e-6;
    std::erase_if(axis.ticks, [&](const Tick& tick) {
      return axis.place(tick.value) < -room || axis.place(tick.value) > 1 + room;
    });
  }
  return axis;
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

// ---- Colours of maps

namespace {

struct Colour {
  double red, green, blue;
};

// From the first to the last, at equal distances.
std::string between(const std::vector<Colour>& stops, double share) {
  const double at = share * static_cast<double>(stops.size() - 1);
  const std::size_t i = std::min(static_cast<std::size_t>(at), stops.size() - 2);
  const double t = at - static_cast<double>(i);
  const auto mix = [&](double a, double b) { return static_cast<int>(std::lround(a + t * (b - a))); };
  char code[8];
  std::snprintf(code, sizeof code, "#%02x%02x%02x", mix(stops[i].red, stops[i + 1].red) & 255,
                mix(stops[i].green, stops[i + 1].green) & 255, mix(stops[i].blue, stops[i + 1].blue) & 255);
  return code;
}

}  // namespace

// Little is near the ground of the page, much is far from it, in the light as in the dark; lightness falls
// (rises) all the way, so that it reads without colours, too.
std::string map_style(bool dark) {
  const std::vector<Colour> sequential =
      dark ? std::vector<Colour>{{27, 32, 42},   {32, 58, 92},    {30, 100, 130},
                                 {52, 150, 150}, {130, 200, 150}, {244, 240, 180}}
           : std::vector<Colour>{{247, 246, 238}, {206, 228, 205}, {126, 193, 190},
                                 {54, 142, 177},  {36, 87, 148},   {22, 36, 92}};
  const std::vector<Colour> diverging =
      dark
          ? std::vector<Colour>{{140, 200, 250}, {60, 120, 185}, {36, 41, 50}, {175, 95, 45}, {250, 185, 120}}
          : std::vector<Colour>{
                {26, 74, 130}, {120, 170, 215}, {245, 244, 240}, {225, 155, 100}, {140, 60, 10}};
  std::string css;
  for (int i = 0; i < levels; ++i) {
    const double share = i / (levels - 1.0);
    css.append(".q")
        .append(std::to_string(i))
        .append("{fill:")
        .append(between(sequential, share))
        .append("}");
    css.append(".d").append(std::to_string(i)).append("{fill:").append(between(diverging, share)).append("}");
  }
  return css + '\n';
}

}  // namespace ef::svg
