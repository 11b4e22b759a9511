// What the kinds of figures share: ranges, axes, and pieces of SVG. Private to train/plot/.
#pragma once
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "train/plot/figure.h"

namespace ef::svg {

// Beyond this a number is as good as infinite, and differences of such numbers would overflow.
inline constexpr double largest = 1e30;

inline bool drawable(double value, bool logarithmic = false) {
  return std::fabs(value) < largest && (!logarithmic || value > 1 / largest);
}
inline bool drawable(const ChartPoint& p, bool logarithmic = false) {
  return drawable(p.x) && drawable(p.y, logarithmic);
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  bool empty() const { return low > high; }
};

struct Tick {
  double value;
  std::string label;
};

struct Axis {
  double low = 0, high = 1;
  bool logarithmic = false;
  std::string unit = "";  // a power of ten by which all labels are divided, or ""
  std::vector<Tick> ticks = {};

  // 0 at the low end, 1 at the high end.
  double place(double value) const {
    return logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
  // How wide the widest label is, in text of 12.
  double label_width() const;
};

// About `wanted` steps of 1, 2 or 5 times a power of ten cover the range.
double nice_step(double range, int wanted);
// Ticks at the multiples of `step` from first to last. `end` is the largest number: where its power of ten is
// not between `small` and `large`, labels are in a unit of that power.
void set_ticks(Axis& axis, double step, double first, double last, double end, int small = -2, int large = 5);
// Ends at round numbers around the range.
Axis linear_axis(Range range, int wanted);
// From one of 1, 2, 5 times a power of ten to another. Where these are many, only powers of ten are labelled.
Axis logarithmic_axis(const Range& range);
// Steps are whole, begin at 0 unless a run's beginning is far away, and end where the data end.
Axis step_axis(Range range, int wanted);
// Ends where the range ends, with ticks inside.
Axis tight_axis(const Range& range, bool logarithmic, int wanted);

// ---- SVG. anchor: start, middle, end.
std::string text(double x, double y, const char* anchor, const std::string& words, const char* kind = "");
std::string rule(const char* kind, double x1, double y1, double x2, double y2);
std::string box(const char* kind, double x, double y, double width, double height);
// tooltip: escaped here; "" for none
std::string circle(double x, double y, int colour, const std::string& tooltip, double radius);
std::string path(const std::string& kind, const std::string& d, const std::string& tooltip = "");
// 'M', "12.0 3.5" of a path.
std::string to(char command, double x, double y);
// "c3"
std::string colour_class(int colour);
// About how wide words are, in text of 12.
double width_of(std::string_view words);
// Words cut to a width, with "…".
std::string cut_to(const std::string& words, double width);
// Words in lines that are not wider, cut at spaces.
std::vector<std::string> lines_of(const std::string& words, double width);
// "c3 line dashed"
std::string classes(int colour, Series::Look look);
// A line's picture in a legend.
std::string line_picture(int colour, Series::Look look);
// "layer 0: 1.25 at step 50"
std::string told(const std::string& label, double value, const std::string& where);

// Colours of a map: classes q0 ... q31 from little to much.
inline constexpr int levels = 32;
// The styles of a file of its own, where there are no variables: light.
std::string standalone_style();

}  // namespace ef::svg
