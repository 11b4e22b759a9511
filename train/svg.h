// Line charts and scatter figures as inline SVG, for pages that need no script and no network.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ef {

struct ChartPoint {
  double x = 0, y = 0;  // a number that is not finite interrupts the line
};

struct Series {
  enum class Look { line, thin, dashed, dots };
  std::string label;  // in the legend
  int colour = 0;     // 0 grey, 1 blue, 2 orange, 3 green, 4 violet, 5 red, 6 teal, 7 ochre, 8 pink
  Look look = Look::line;
  std::vector<ChartPoint> points;  // by increasing x
};

struct LineChart {
  std::string title = "";
  std::string x_label = "step", y_label = "";  // with units
  std::vector<Series> series = {};
  bool logarithmic = false;  // the y axis; numbers that are not positive are left out
  bool from_zero = false;    // the y axis begins at 0
  bool legend = true;
  int width = 880, height = 360;  // the proportions, and the size of the text: a page scales the whole chart
};

// A <figure>: title, legend, and the chart with axes, ticks and, at dots, tooltips. Draws what is finite;
// without anything finite it says so.
std::string draw(const LineChart& chart);
// The legend alone, where several charts share one.
std::string legend(const std::vector<Series>& series);

// Numbers in the complex plane: small panels of one scale, equal on both axes and in all panels.
struct ScatterFigure {
  struct Panel {
    std::string title;
    std::vector<ChartPoint> points;  // real and imaginary part; what is not finite is left out
  };
  std::string title = "", points_label = "", note = "";  // the note stands below
  std::vector<Panel> panels = {};
};

// A <figure>: title, legend, and each panel with axes through 0, the mean of its points as a cross, and the
// unit circle unless all points are far inside. "" if no panel has a finite point; a panel without is left
// out.
std::string draw(const ScatterFigure& figure);

// What all of these need in the page's <style>.
std::string chart_style();

// Each point the mean of those within `reach` before and after it, fewer at the ends, so that both ends stay
// in place. Points that are not finite are left out.
std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, std::size_t reach);

// Text that stands in a page as it is: &, <, >, " escaped, control characters replaced.
std::string escape_html(std::string_view text);
// 3.1416 with so many decimals; as short as so many digits allow; "1,234,567" with separators.
std::string fixed(double value, int decimals);
std::string concise(double value, int digits);
std::string grouped(double value);

}  // namespace ef
