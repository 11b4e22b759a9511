// Rows from top to bottom, and arcs for what each uses.
#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "train/plot/axes.h"

namespace ef {
namespace {

using namespace svg;

constexpr double row_height = 19, top = 12, arcs = 120, labels = 300, details = 170, bars = 290;
constexpr double width = arcs + labels + details + bars;

double middle_of(std::size_t row) { return top + row_height * (static_cast<double>(row) + 0.5); }

// What skips many rows swings further out; the next one is a short stroke.
std::string arc(std::size_t from, std::size_t to) {
  const double y1 = middle_of(from) + 3, y2 = middle_of(to) - 3, rows = static_cast<double>(to - from);
  const double out = std::min(arcs - 12, 8 * std::pow(rows, 0.8));
  const auto at = [](double x, double y) { return concise(x, 5) + ' ' + concise(y, 6); };
  const double x = arcs - 6;
  return path(colour_class(rows > 2 ? 4 : 0) + " line thin",
              'M' + at(x, y1) + 'C' + at(x - out, y1) + ' ' + at(x - out, y2) + ' ' + at(x, y2)) +
         path(colour_class(rows > 2 ? 4 : 0) + " line",
              'M' + at(x - 4, y2 - 3) + 'L' + at(x, y2) + 'L' + at(x - 4, y2 + 3));
}

Figure::LegendEntry entry(int colour, const std::string& words) {
  return {box(("dot " + colour_class(colour)).c_str(), 0, 0, 26, 10), words};
}

}  // namespace

Figure draw(const FlowFigure& flow) {
  Figure figure{.id = flow.id.empty() ? slug(flow.title) : flow.id, .title = flow.title, .note = flow.note};
  if (flow.rows.empty()) return figure;
  double longest = 0;
  for (const FlowFigure::Row& row : flow.rows) longest = std::max(longest, row.first + row.second);
  std::string drawing;
  figure.csv = "row,detail," + csv_field(flow.first_label) + "," + csv_field(flow.second_label) + ",uses\n";
  for (std::size_t i = 0; i < flow.rows.size(); ++i) {
    const FlowFigure::Row& row = flow.rows[i];
    const double y = middle_of(i) + 4;
    const std::string label = cut_to(row.label, labels - 24);
    if (row.heading) {
      drawing += rule("grid", arcs, y - 15, width, y - 15);
      drawing += text(arcs, y, "start", label, "strong");
      drawing += text(arcs + labels, y, "start", row.detail);
      continue;
    }
    drawing += text(arcs + 12, y, "start", label, "words");
    drawing += text(arcs + labels, y, "start", cut_to(row.detail, details - 8));
    const double scale = longest > 0 ? bars / longest : 0, x = arcs + labels + details;
    const auto bar = [&](int colour, double from, double length) {
      if (length > 0)
        drawing += box(("dot " + colour_class(colour)).c_str(), x + scale * from, y - 10, scale * length, 11);
    };
    bar(1, 0, row.first);
    bar(2, row.first, row.second);
    std::string used;
    for (const std::size_t other : row.uses) {
      if (other >= i) fail("figure: what a row uses", "row " + std::to_string(other), "one above it");
      drawing += arc(other, i);
      used += (used.empty() ? "" : " ") + flow.rows[other].label;
    }
    figure.csv += csv_field(row.label) + "," + csv_field(row.detail) + "," + exact(row.first) + "," +
                  exact(row.second) + "," + csv_field(used) + "\n";
  }
  if (!flow.first_label.empty()) figure.legend.push_back(entry(1, flow.first_label));
  if (!flow.second_label.empty()) figure.legend.push_back(entry(2, flow.second_label));
  figure.panels.push_back({.width = width,
                           .height = 2 * top + row_height * static_cast<double>(flow.rows.size()),
                           .svg = drawing});
  return figure;
}

}  // namespace ef
