// Numbers in the complex plane.
#include <algorithm>

#include "engine/error.h"
#include "train/plot/axes.h"

namespace ef {
namespace {

using namespace svg;
using Points = std::vector<ChartPoint>;

// The frame of panels of one scale: `real` and `imaginary` are equally long, and contain 0.
struct Plane {
  Axis real, imaginary;
  bool unit_circle = false;
};

// What one panel or several need of the plane.
struct Extent {
  Range real, imaginary;

  Extent() {
    real.include(0);
    imaginary.include(0);
  }
  void include(const Points& points) {
    for (const ChartPoint& p : points) {
      if (!drawable(p)) continue;
      real.include(p.x);
      imaginary.include(p.y);
    }
  }
  void include(const ScatterFigure::Panel& panel) {
    include(panel.points);
    for (const Points& points : panel.earlier) include(points);
  }
  double reach() const { return std::max({-real.low, real.high, -imaginary.low, imaginary.high}); }
};

Plane plane_of(const Extent& extent) {
  Range real = extent.real, imaginary = extent.imaginary;
  Plane plane;
  // A circle that would only make the points small is not drawn, nor one that would be a speck.
  plane.unit_circle = extent.reach() > 0.7 && extent.reach() < 40;
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
std::string spot(double x, double y) { return to('M', x, y) + "h0"; }

std::string cross(double x, double y) { return to('M', x - 5, y) + "h10m-5 -5v10"; }

// "0.25 - 1e-09 i"
std::string complex_number(const ChartPoint& p) {
  return concise(p.x, 4) + (p.y < 0 ? " - " : " + ") + concise(std::fabs(p.y), 4) + " i";
}

constexpr double side = 160, top = 20;

// What changes from state to state: the points and their mean; "" if there is none.
std::string draw_state(const Points& points, const Plane& plane, double left) {
  const auto x_of = [&](double x) { return left + side * plane.real.place(x); };
  const auto y_of = [&](double y) { return top + side - side * plane.imaginary.place(y); };
  std::string spots;
  ChartPoint mean;
  double count = 0;
  for (const ChartPoint& p : points) {
    if (!drawable(p)) continue;
    spots += spot(x_of(p.x), y_of(p.y));
    mean.x += p.x;
    mean.y += p.y;
    ++count;
  }
  if (spots.empty()) return "";
  mean.x /= count;
  mean.y /= count;
  // The mean below the points: a concentrated spectrum hides it, not the other way round.
  return path("c2 line dotted", cross(x_of(mean.x), y_of(mean.y)), "mean " + complex_number(mean)) +
         path("c1 spots", spots);
}

Figure::Panel draw_panel(const ScatterFigure::Panel& panel, const Plane& plane) {
  const double left = 8 + std::min(plane.imaginary.label_width(), 56.0);
  const double right = left + side, bottom = top + side;
  const auto x_of = [&](double x) { return left + side * plane.real.place(x); };
  const auto y_of = [&](double y) { return bottom - side * plane.imaginary.place(y); };

  std::string html = text(left, 12, "start", cut_to(panel.title, side - width_of(plane.real.unit)));
  html += text(right, 12, "end", plane.real.unit);
  html += box("grid", left, top, side, side);
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
  Figure::Panel drawn{right + 6, bottom + 22, panel.title, html};
  for (const Points& points : panel.earlier) drawn.states.push_back(draw_state(points, plane, left));
  drawn.states.push_back(draw_state(panel.points, plane, left));
  return drawn;
}

std::string numbers(const ScatterFigure& figure) {
  const bool moves = !figure.states.empty();
  std::string csv = moves ? "panel,state,real,imaginary\n" : "panel,real,imaginary\n";
  const auto digits = [&](double value) {
    return figure.single_precision ? exact(static_cast<float>(value)) : exact(value);
  };
  for (const ScatterFigure::Panel& panel : figure.panels) {
    const auto add = [&](const Points& points, std::size_t state) {
      const std::string where =
          csv_field(panel.title) + ',' + (moves ? csv_field(figure.states[state]) + ',' : "");
      for (const ChartPoint& p : points) csv += where + digits(p.x) + ',' + digits(p.y) + '\n';
    };
    for (std::size_t state = 0; state < panel.earlier.size(); ++state) add(panel.earlier[state], state);
    add(panel.points, panel.earlier.size());
  }
  return csv;
}

}  // namespace

Figure draw(const ScatterFigure& figure) {
  Figure drawn{.id = figure.id, .title = figure.title, .note = figure.note};
  for (const ScatterFigure::Panel& panel : figure.panels) {
    if (panel.earlier.size() + 1 != std::max<std::size_t>(figure.states.size(), 1))
      fail("panel " + panel.title + " of " + figure.title,
           std::to_string(panel.earlier.size() + 1) + " states",
           std::to_string(std::max<std::size_t>(figure.states.size(), 1)));
  }
  // Panels that reach much farther than most have a scale of their own, or the others would show nothing.
  std::vector<Extent> extents(figure.panels.size());
  std::vector<double> reaches;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    extents[i].include(figure.panels[i]);
    reaches.push_back(extents[i].reach());
  }
  const double most = far_from(reaches);
  Extent shared;
  for (std::size_t i = 0; i < extents.size(); ++i)
    if (reaches[i] <= most) shared.include(figure.panels[i]);
  bool circle = false;
  std::string others;
  for (std::size_t i = 0; i < extents.size(); ++i) {
    const ScatterFigure::Panel& panel = figure.panels[i];
    if (std::none_of(panel.points.begin(), panel.points.end(),
                     [](const ChartPoint& p) { return drawable(p); }))
      continue;
    const Plane plane = plane_of(reaches[i] <= most ? shared : extents[i]);
    drawn.panels.push_back(draw_panel(panel, plane));
    circle = circle || plane.unit_circle;
    if (reaches[i] > most) others += (others.empty() ? "" : ", ") + panel.title;
  }
  if (drawn.panels.size() > 1) {
    if (!drawn.note.empty()) drawn.note += ' ';
    drawn.note +=
        others.empty() ? "All panels have the same scale" : "The panels have the same scale, but for: ";
    drawn.note += others + '.';
  }
  if (drawn.panels.empty()) return drawn;
  drawn.states = figure.states;
  drawn.csv = numbers(figure);
  drawn.legend.push_back({path("c1 spots", spot(13, 5)), figure.points_label});
  drawn.legend.push_back({path("c2 line dotted", cross(13, 5)), "their mean"});
  if (circle)
    drawn.legend.push_back(
        {"<circle class=\"axis\" fill=\"none\" cx=\"13\" cy=\"5\" r=\"4\"/>", "unit circle"});
  return drawn;
}

}  // namespace ef
