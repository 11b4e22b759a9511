// Figures as inline SVG, for pages that need no script and no network. Each kind is a struct of what shall be
// seen; draw() makes a Figure of it, which a page shows (train/plot/page.h) and which stands alone as two
// files, ID.svg and ID.csv. Whatever the data are, a figure is well formed: numbers that are not finite, or
// beyond 1e30, are left out, and a figure without any says that there is nothing to draw.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/text/text.h"

namespace ef {

// ---- What draw() makes

struct Figure {
  struct LegendEntry {
    std::string picture = "", words = "";  // SVG in a box of width x 10, and what stands behind it
    double width = 26;
    std::string before = "";  // words in front
  };
  struct Panel {
    double width = 0, height = 0;  // of its box; its text is 12 high
    std::string label = "", svg = "";
    std::vector<std::string> states = {};  // one of them is drawn over the rest: the last, if no script runs
  };
  std::string id = "";  // names its files, and its place in the page: slug(title) unless told otherwise
  std::string title = "", note = "";
  std::vector<LegendEntry> legend = {};
  std::vector<Panel> panels = {};        // none: nothing to draw
  std::vector<std::string> states = {};  // names of the panels' states, for the slider; empty: there is none
  std::string csv = "";                  // its numbers, each with as many digits as reading it back needs
  bool thinned = false;  // the CSV has only points that are drawn, as there are too many for a page
};

// A <figure>: title, legend, panels, slider, note, and a line to have it alone.
std::string show(const Figure& figure, bool with_legend = true);
// The legend alone, where several figures share one; entries with the same words are told once.
std::string legend(const std::vector<Figure>& figures);
// One SVG file in light colours, on white, with its styles inside. Panels stand in rows, as wide as a page.
std::string standalone_svg(const Figure& figure);
// "Loss of a run" -> "loss-of-a-run"; "figure" if nothing is left.
std::string slug(std::string_view title);

// ---- Line charts

struct ChartPoint {
  double x = 0, y = 0;  // a number that is not finite interrupts the line
};
struct ChartSpread {
  double x = 0, low = 0, high = 0;
};

struct Series {
  enum class Look { line, thin, dashed, dots, points };  // dots: with a line; points: without
  std::string label = "";                                // in the legend; of a series without there is none
  int colour = 0;  // 0 grey, 1 blue, 2 orange, 3 green, 4 violet, 5 red, 6 teal, 7 ochre, 8 pink
  Look look = Look::line;
  std::vector<ChartPoint> points = {};   // by increasing x
  std::vector<ChartSpread> spread = {};  // by increasing x: least and greatest, mean +- standard error, ...
  bool bars = false;                     // the spread as error bars; else as a band behind all lines
  bool drawn = true;                     // else only in the CSV
};

struct LineChart {
  enum class Scale { steps, linear };  // steps: whole numbers, from 0 unless that is far away
  std::string id = "";
  std::string title = "";
  std::string x_label = "step", y_label = "";  // with units
  std::vector<Series> series = {};
  bool logarithmic = false;                   // the y axis; numbers that are not positive are left out
  bool from_zero = false;                     // the y axis begins at 0
  std::optional<double> low = {}, high = {};  // it reaches so far at least, if it is linear
  Scale x_scale = Scale::steps;
  bool legend = true;
  std::string note = "";
  int width = 880, height = 360;  // the proportions, and the size of the text: a page scales the whole chart
};

Figure draw(const LineChart& chart);

// ---- Intervals: a row each, a point with its interval, beside a line at the reference. What reaches ten
// times as far from it as most is cut off, with an arrow.

struct IntervalPlot {
  struct Row {
    std::string label = "";
    double value = 0, low = 0, high = 0;  // an interval that is not finite is not drawn
    int colour = 1;
    std::string text = "";  // at the right; "" : value and interval in digits
  };
  std::string id = "", title = "";
  std::string x_label = "";           // with units
  std::string value_label = "value";  // the column of the CSV
  std::vector<Row> rows = {};         // without any finite number: a heading
  std::optional<double> reference = 0;
  std::string better_low = "", better_high = "";  // what lies at the left and right of the reference
  std::string note = "";
  int digits = 3;
  int width = 880;
};

Figure draw(const IntervalPlot& plot);

// ---- Maps over a grid

struct HeatMap {
  struct Axis {
    std::string label = "";           // with units
    std::vector<double> values = {};  // the middles of the cells, increasing
    bool logarithmic = false;
  };
  struct Curve {
    std::string label = "";
    int colour = 0;
    Series::Look look = Series::Look::line;
    std::vector<ChartPoint> points = {};  // in the units of the axes
  };
  struct Panel {
    std::string title = "";
    std::vector<double> values = {};  // [y][x], the lowest y first; a cell that is not finite stays empty
    std::vector<Curve> curves = {};
  };
  struct Category {
    std::string letter = "", name = "";  // the letter stands in the cells
    int colour = 0;                      // as of a Series
  };
  std::string id = "", title = "";
  Axis x = {}, y = {};
  std::vector<Panel> panels = {};             // of one scale and one legend
  std::vector<Category> categories = {};      // if there are any, values are their indices
  std::string value_label = "";               // beside the scale's bar
  std::optional<double> low = {}, high = {};  // the scale's ends; else the least and the greatest value
  bool single_precision = false;              // the values come from float32: the CSV has digits for that
  std::string note = "";
  int width = 420, height = 340;  // of a panel
};

// Error if a panel's values are not as many as the grid has cells.
Figure draw(const HeatMap& map);

// Causal attention patterns: query by query from the top, keys from the left. Colours go by the square root
// of the attention, up to a quarter, as most of it is small.
struct AttentionMap {
  struct Panel {
    std::string title = "";
    int size = 0;
    std::vector<float> values = {};  // size x size; what is above the diagonal is not looked at
  };
  std::string id = "", title = "", note = "";
  std::vector<Panel> panels = {};
};

// Error if a panel's values are not size x size.
Figure draw(const AttentionMap& map);

// ---- Numbers in the complex plane: small panels, the scale equal on both axes and, but for those
// that reach far, in all of them

struct ScatterFigure {
  struct Panel {
    std::string title = "";
    std::vector<ChartPoint> points = {};  // real and imaginary part; what is not finite is left out
    std::vector<std::vector<ChartPoint>> earlier = {};  // as they were in the states before
  };
  std::string id = "", title = "", points_label = "", note = "";
  std::vector<Panel> panels = {};
  std::vector<std::string> states = {};  // names of all states, the last one that of `points`: a slider
  bool single_precision = false;         // the numbers come from float32: the CSV has digits for that
};

// Each panel has axes through 0, the mean of its points as a cross, and the unit circle unless all points are
// far inside, or some beyond 40. Panels that reach ten times as far as most have a scale of their own; the
// note tells the scale. A panel without a finite point is left out. Error if a panel has another number of
// states.
Figure draw(const ScatterFigure& figure);

// ---- What follows from what: a row each, from the top, with an arc from each row that it uses, and bars

struct FlowFigure {
  struct Row {
    std::string label = "", detail = "";  // "linear", "[4, 8]"
    bool heading = false;                 // it stands for itself: no arcs, no bars
    std::vector<std::size_t> uses = {};   // rows above
    double first = 0, second = 0;         // lengths of two bars, one behind the other; 0 or more
  };
  std::string id = "", title = "", note = "";
  std::string first_label = "", second_label = "";  // with units
  std::vector<Row> rows = {};
};

// Error if a row uses one that does not stand above it.
Figure draw(const FlowFigure& figure);

// ---- What all of these need

// In the page's <style>: colours are variables, light and dark; printed light.
std::string chart_style();
// In the page's <script>: sliders, and SVG files of single figures. Without it all is there but these.
std::string chart_script();

// Each point the mean of those within `reach` before and after it, fewer at the ends, so that both ends stay
// in place. Points that are not finite are left out.
std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, std::size_t reach);

// Of at least four reaches (0 or more): beyond which one is so far from most that a scale with it would
// show nothing of the others, `times` their median. Infinity if there is none, or if more than a quarter are.
double far_from(std::vector<double> reaches, double times = 10);

}  // namespace ef
