// Heat maps, phase diagrams and attention patterns.
#include <algorithm>
#include <map>

#include "engine/error.h"
#include "train/plot/axes.h"

namespace ef {
namespace {

using namespace svg;

// The edges of cells around these middles: half-way between neighbours, on the axis' own scale.
std::vector<double> edges_of(const HeatMap::Axis& axis) {
  std::vector<double> v = axis.values, edges;
  if (axis.logarithmic)
    for (double& x : v) x = std::log(x);
  for (std::size_t i = 0; i + 1 < v.size(); ++i) edges.push_back((v[i] + v[i + 1]) / 2);
  if (v.size() == 1) {
    const double half = v[0] == 0 || axis.logarithmic ? 0.5 : std::fabs(v[0]) / 2;
    edges = {v[0] - half, v[0] + half};
  } else {
    edges.insert(edges.begin(), v.front() - (edges.front() - v.front()));
    edges.push_back(v.back() + (v.back() - edges.back()));
  }
  if (axis.logarithmic)
    for (double& x : edges) x = std::exp(x);
  return edges;
}

// Cells of one class as one path; neighbours in a row are one box. class_of(x, y): "" leaves the cell empty.
template <class ClassOf>
std::string cells(const std::vector<double>& x_edges, const std::vector<double>& y_edges,
                  const ClassOf& class_of) {
  std::map<std::string, std::string> paths;
  for (std::size_t y = 0; y + 1 < y_edges.size(); ++y) {
    for (std::size_t x = 0; x + 1 < x_edges.size();) {
      const std::string kind = class_of(x, y);
      std::size_t end = x + 1;
      while (end + 1 < x_edges.size() && class_of(end, y) == kind) ++end;
      if (!kind.empty())
        paths[kind] += 'M' + concise(x_edges[x], 4) + ' ' + concise(y_edges[y], 4) + 'H' +
                       concise(x_edges[end], 4) + 'V' + concise(y_edges[y + 1], 4) + 'H' +
                       concise(x_edges[x], 4) + 'z';
      x = end;
    }
  }
  std::string html;
  for (const auto& [kind, d] : paths) html += path(kind + " cell", d);
  return html;
}

// A value's class between the ends of the scale.
std::string level_of(double share) {
  const long level = std::lround(std::clamp(share, 0.0, 1.0) * (levels - 1));
  return 'q' + std::to_string(level);
}

// The scale of all panels, and whether there are values beyond its ends.
struct Scale {
  double low = 0, high = 1;
  bool less = false, more = false;
  double place(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

// A bar of all colours, with the ends in digits.
Figure::LegendEntry scale_bar(const Scale& scale, const std::string& label) {
  constexpr double width = 128;
  std::string bar;
  for (int i = 0; i < levels; ++i) {
    const double begin = width * i / levels, end = width * (i + 1) / levels;
    bar += path(level_of(i / (levels - 1.0)) + " cell",
                'M' + concise(begin, 4) + " 0H" + concise(end, 4) + "V10H" + concise(begin, 4) + 'z');
  }
  std::string words = concise(scale.high, 3) + (scale.more ? " and more" : "");
  if (!label.empty()) words += " · " + label;
  return {bar, words, width, concise(scale.low, 3) + (scale.less ? " and less" : "")};
}

Scale scale_of(const HeatMap& map) {
  Range range;
  for (const HeatMap::Panel& panel : map.panels)
    for (const double value : panel.values)
      if (drawable(value)) range.include(value);
  if (range.empty()) range = {0, 1};
  const double low = map.low.value_or(range.low), high = map.high.value_or(range.high);
  const bool less = low > range.low;
  const bool more = range.high > high;
  return {low, high, less, more};
}

// The sheet of one panel, the same for all.
struct Grid {
  Axis x_axis, y_axis;
  double left, right, top, bottom;
  std::vector<double> x_edges, y_edges;  // in pixels
  double x_of(double x) const { return left + (right - left) * x_axis.place(x); }
  double y_of(double y) const { return bottom - (bottom - top) * y_axis.place(y); }
};

Grid grid_of(const HeatMap& map) {
  Grid grid;
  const std::vector<double> x = edges_of(map.x), y = edges_of(map.y);
  grid.x_axis = tight_axis({x.front(), x.back()}, map.x.logarithmic, std::max(3, map.width / 80));
  grid.y_axis = tight_axis({y.front(), y.back()}, map.y.logarithmic, std::max(3, map.height / 55));
  grid.left = 10 + grid.y_axis.label_width();
  grid.right = map.width - 6;
  // A label at the end of the axis needs room for its half.
  if (!grid.x_axis.ticks.empty())
    grid.right = map.width - std::max(6.0, width_of(grid.x_axis.ticks.back().label) / 2);
  grid.top = 42;
  grid.bottom = map.height - 40;
  for (const double at : x) grid.x_edges.push_back(grid.x_of(at));
  for (const double at : y) grid.y_edges.push_back(grid.y_of(at));
  return grid;
}

bool holds(const HeatMap& map, double value) {
  return drawable(value) &&
         (map.categories.empty() || (value >= 0 && value < static_cast<double>(map.categories.size())));
}

const HeatMap::Category& category_of(const HeatMap& map, double value) {
  return map.categories[static_cast<std::size_t>(value)];
}

// A letter in every cell that has room for one; in smaller cells in each so many.
std::string letters(const HeatMap& map, const HeatMap::Panel& panel, const Grid& grid) {
  const auto stride = [](const std::vector<double>& edges, double room) {
    const double cell = std::fabs(edges.back() - edges.front()) / static_cast<double>(edges.size() - 1);
    return std::max<std::size_t>(1, static_cast<std::size_t>(std::ceil(room / cell)));
  };
  const std::size_t columns = map.x.values.size(), rows = map.y.values.size();
  const std::size_t across = stride(grid.x_edges, 40), up = stride(grid.y_edges, 36);
  std::string html;
  for (std::size_t y = up / 2; y < rows; y += up) {
    for (std::size_t x = across / 2; x < columns; x += across) {
      const double value = panel.values[y * columns + x];
      if (!holds(map, value)) continue;
      html +=
          text((grid.x_edges[x] + grid.x_edges[x + 1]) / 2, (grid.y_edges[y] + grid.y_edges[y + 1]) / 2 + 4,
               "middle", category_of(map, value).letter, "letter");
    }
  }
  return html;
}

std::string curve(const HeatMap::Curve& c, const HeatMap& map, const Grid& grid) {
  std::string d;
  bool joined = false;
  for (const ChartPoint& p : c.points) {
    const bool seen = drawable(p.x, map.x.logarithmic) && drawable(p.y, map.y.logarithmic);
    if (seen) {
      // Far outside is as good as further outside.
      const double x = std::clamp(grid.x_of(p.x) - grid.left, -1e4, 1e4);
      const double y = std::clamp(grid.y_of(p.y) - grid.top, -1e4, 1e4);
      d += to(joined ? 'L' : 'M', x, y);
    }
    joined = seen;
  }
  if (d.empty()) return "";
  return path("halo", d) + path(classes(c.colour, c.look), d, c.label);
}

// What a reader's pointer is told, where cells are few.
std::string tooltips(const HeatMap& map, const HeatMap::Panel& panel, const Grid& grid) {
  const std::size_t columns = map.x.values.size(), rows = map.y.values.size();
  if (columns * rows * map.panels.size() > 800) return "";
  std::string html;
  for (std::size_t y = 0; y < rows; ++y) {
    for (std::size_t x = 0; x < columns; ++x) {
      const double value = panel.values[y * columns + x];
      if (!holds(map, value)) continue;
      html +=
          "<rect class=\"hit\" x=\"" + fixed(grid.x_edges[x], 1) + "\" y=\"" + fixed(grid.y_edges[y + 1], 1);
      html += "\" width=\"" + fixed(grid.x_edges[x + 1] - grid.x_edges[x], 1) + "\" height=\"";
      html += fixed(grid.y_edges[y] - grid.y_edges[y + 1], 1) + "\"><title>";
      html += escape_html(map.x.label + ' ' + concise(map.x.values[x], 4) + ", " + map.y.label + ' ' +
                          concise(map.y.values[y], 4) + ": " +
                          (map.categories.empty() ? concise(value, 4) : category_of(map, value).name));
      html += "</title></rect>\n";
    }
  }
  return html;
}

Figure::Panel draw_panel(const HeatMap& map, const HeatMap::Panel& panel, const Grid& grid,
                         const Scale& scale) {
  const std::size_t columns = map.x.values.size();
  const double width = grid.right - grid.left, height = grid.bottom - grid.top;
  std::string html = "<rect class=\"void\" x=\"" + fixed(grid.left, 1) + "\" y=\"" + fixed(grid.top, 1) +
                     "\" width=\"" + fixed(width, 1) + "\" height=\"" + fixed(height, 1) + "\"/>\n";
  html += cells(grid.x_edges, grid.y_edges, [&](std::size_t x, std::size_t y) -> std::string {
    const double value = panel.values[y * columns + x];
    if (!holds(map, value)) return "";
    if (!map.categories.empty()) return colour_class(category_of(map, value).colour) + " area";
    return level_of(scale.place(value));
  });
  if (!map.categories.empty()) html += letters(map, panel, grid);
  // A box of its own cuts curves off at the frame.
  html += "<svg x=\"" + fixed(grid.left, 1) + "\" y=\"" + fixed(grid.top, 1) + "\" width=\"" +
          fixed(width, 1) + "\" height=\"" + fixed(height, 1) + "\">\n";
  for (const HeatMap::Curve& c : panel.curves) html += curve(c, map, grid);
  html += "</svg>\n" + box("axis", grid.left, grid.top, width, height);
  for (const Tick& tick : grid.x_axis.ticks) {
    html += rule("axis", grid.x_of(tick.value), grid.bottom, grid.x_of(tick.value), grid.bottom + 4);
    html += text(grid.x_of(tick.value), grid.bottom + 17, "middle", tick.label);
  }
  for (const Tick& tick : grid.y_axis.ticks) {
    html += rule("axis", grid.left - 4, grid.y_of(tick.value), grid.left, grid.y_of(tick.value));
    html += text(grid.left - 8, grid.y_of(tick.value) + 4, "end", tick.label);
  }
  const auto with_unit = [](const std::string& label, const std::string& unit) {
    return label + (label.empty() || unit.empty() ? "" : ", ") + unit;
  };
  html += text(grid.left, 12, "start", panel.title, "words");
  html += text(0, 32, "start", with_unit(map.y.label, grid.y_axis.unit));
  html += text(grid.right, grid.bottom + 34, "end", with_unit(map.x.label, grid.x_axis.unit));
  html += tooltips(map, panel, grid);
  return {double(map.width), double(map.height), panel.title.empty() ? map.title : panel.title, html};
}

std::string numbers(const HeatMap& map) {
  std::string csv = "panel,curve,x,y,value\n";
  const auto digits = [&](double value) {
    return map.single_precision ? exact(static_cast<float>(value)) : exact(value);
  };
  for (const HeatMap::Panel& panel : map.panels) {
    const std::string name = csv_field(panel.title) + ',';
    for (std::size_t i = 0; i < panel.values.size(); ++i) {
      const double value = panel.values[i];
      csv += name + ',' + exact(map.x.values[i % map.x.values.size()]) + ',' +
             exact(map.y.values[i / map.x.values.size()]) + ',';
      csv += map.categories.empty() ? digits(value)
             : holds(map, value)    ? csv_field(category_of(map, value).name)
                                    : "";
      csv += '\n';
    }
    for (const HeatMap::Curve& c : panel.curves)
      for (const ChartPoint& p : c.points)
        csv += name + csv_field(c.label) + ',' + exact(p.x) + ',' + exact(p.y) + ",\n";
  }
  return csv;
}

void check(const HeatMap& map) {
  for (const HeatMap::Axis* axis : {&map.x, &map.y}) {
    for (std::size_t i = 0; i < axis->values.size(); ++i) {
      if (!drawable(axis->values[i], axis->logarithmic) ||
          (i > 0 && !(axis->values[i - 1] < axis->values[i])))
        fail("the axis " + axis->label + " of " + map.title, concise(axis->values[i], 6),
             axis->logarithmic ? "positive, increasing numbers" : "increasing numbers");
    }
  }
  for (const HeatMap::Panel& panel : map.panels) {
    const std::size_t wanted = map.x.values.size() * map.y.values.size();
    if (panel.values.size() != wanted)
      fail("panel " + panel.title + " of " + map.title, std::to_string(panel.values.size()) + " values",
           std::to_string(wanted));
  }
}

}  // namespace

Figure draw(const HeatMap& map) {
  check(map);
  Figure figure{.id = map.id, .title = map.title, .note = map.note};
  const auto any = [&](const HeatMap::Panel& panel) {
    return std::any_of(panel.values.begin(), panel.values.end(),
                       [&](double value) { return holds(map, value); });
  };
  if (std::none_of(map.panels.begin(), map.panels.end(), any)) return figure;
  const Grid grid = grid_of(map);
  const Scale scale = scale_of(map);
  bool gaps = false;
  for (const HeatMap::Panel& panel : map.panels) {
    figure.panels.push_back(draw_panel(map, panel, grid, scale));
    gaps = gaps ||
           !std::all_of(panel.values.begin(), panel.values.end(), [&](double v) { return holds(map, v); });
  }
  if (map.categories.empty()) figure.legend.push_back(scale_bar(scale, map.value_label));
  for (const HeatMap::Category& category : map.categories)
    figure.legend.push_back({path(colour_class(category.colour) + " area cell", "M3 -2H23V12H3z") +
                                 text(13, 9, "middle", category.letter, "letter"),
                             category.name});
  std::vector<std::string> told_already;
  for (const HeatMap::Panel& panel : map.panels) {
    for (const HeatMap::Curve& c : panel.curves) {
      if (std::find(told_already.begin(), told_already.end(), c.label) != told_already.end()) continue;
      told_already.push_back(c.label);
      figure.legend.push_back({line_picture(c.colour, c.look), c.label});
    }
  }
  if (gaps)
    figure.legend.push_back(
        {"<rect class=\"void\" x=\"3\" y=\"-1\" width=\"20\" height=\"12\"/>", "no number"});
  figure.csv = numbers(map);
  return figure;
}

Figure draw(const AttentionMap& map) {
  Figure figure{.id = map.id, .title = map.title, .note = map.note};
  constexpr double side = 176, left = 20, top = 20, brightest = 0.25;
  int most = 0;
  for (const AttentionMap::Panel& panel : map.panels) most = std::max(most, panel.size);
  figure.csv = "panel,query cell";
  for (int key = 0; key < most; ++key) figure.csv += ",key cell " + std::to_string(key);
  figure.csv += '\n';
  Scale scale{0, brightest};
  bool any = false;
  for (const AttentionMap::Panel& panel : map.panels) {
    const auto size = static_cast<std::size_t>(std::max(panel.size, 0));
    if (panel.values.size() != size * size)
      fail("panel " + panel.title + " of " + map.title, std::to_string(panel.values.size()) + " values",
           std::to_string(size * size));
    if (size == 0) continue;
    std::vector<double> edges;
    for (std::size_t i = 0; i <= size; ++i) edges.push_back(static_cast<double>(i));
    std::string html = text(left, 12, "start", panel.title);
    html += "<rect class=\"void\" x=\"" + fixed(left, 1) + "\" y=\"" + fixed(top, 1) + "\" width=\"" +
            fixed(side, 1) + "\" height=\"" + fixed(side, 1) + "\"/>\n";
    // Cells of width 1, so that their numbers are short.
    html += "<svg x=\"" + fixed(left, 1) + "\" y=\"" + fixed(top, 1) + "\" width=\"" + fixed(side, 1) +
            "\" height=\"" + fixed(side, 1) + "\" viewBox=\"0 0 " + std::to_string(size) + ' ' +
            std::to_string(size) + "\">\n";
    html += cells(edges, edges, [&](std::size_t key, std::size_t query) -> std::string {
      const float value = panel.values[query * size + key];
      if (key > query || !std::isfinite(value)) return "";
      any = true;
      scale.more = scale.more || value > brightest;
      return level_of(std::sqrt(std::max(0.0, scale.place(static_cast<double>(value)))));
    });
    html += "</svg>\n" + box("axis", left, top, side, side);
    html += "<text text-anchor=\"end\" transform=\"translate(12 " + fixed(top, 1) +
            ") rotate(-90)\">query</text>\n";
    html += text(left, top + side + 16, "start", "key");
    figure.panels.push_back({left + side + 6, top + side + 24, panel.title, html});
    for (std::size_t query = 0; query < size; ++query) {
      figure.csv += csv_field(panel.title) + ',' + std::to_string(query);
      for (std::size_t key = 0; key < static_cast<std::size_t>(most); ++key)
        figure.csv += ',' + (key <= query ? exact(panel.values[query * size + key]) : "");
      figure.csv += '\n';
    }
  }
  if (!any) {
    figure.panels.clear();
    return figure;
  }
  figure.legend.push_back(scale_bar(scale, "attention, colours by its square root"));
  return figure;
}

}  // namespace ef
