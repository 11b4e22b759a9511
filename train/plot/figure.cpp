#include "train/plot/figure.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "train/plot/axes.h"

namespace ef {
namespace {

// ---- Where the parts stand in a file of its own

constexpr double sheet_width = 880;

struct Layout {
  struct Place {
    double x, y, width, height;
  };
  double height = 0, note_y = 0;
  std::vector<Place> legend, panels;
  std::vector<std::string> note;  // its lines
};

Layout layout_of(const Figure& figure) {
  Layout layout;
  double x = 0, y = 26;
  for (const Figure::LegendEntry& entry : figure.legend) {
    const double before = entry.before.empty() ? 0 : svg::width_of(entry.before) + 6;
    const double width = before + entry.width + 7 + svg::width_of(entry.words) + 20;
    if (x > 0 && x + width > sheet_width) {
      x = 0;
      y += 20;
    }
    layout.legend.push_back({x, y, width, 20});
    x += width;
  }
  y += figure.legend.empty() ? 6 : 30;
  x = 0;
  double row = 0;
  for (const Figure::Panel& panel : figure.panels) {
    if (x > 0 && x + panel.width > sheet_width) {
      x = 0;
      y += row + 16;
      row = 0;
    }
    layout.panels.push_back({x, y, panel.width, panel.height});
    row = std::max(row, panel.height);
    x += panel.width + 20;
  }
  layout.note_y = y + row + 18;
  if (!figure.note.empty()) layout.note = svg::lines_of(figure.note, sheet_width);
  layout.height = layout.note_y + 18 * static_cast<double>(layout.note.size());
  return layout;
}

std::string picture(const Figure::LegendEntry& entry, const std::string& place) {
  return "<svg class=\"key\"" + place + " viewBox=\"0 0 " + concise(entry.width, 4) + " 10\" width=\"" +
         concise(entry.width, 4) + "\" height=\"10\" aria-hidden=\"true\">" + entry.picture + "</svg>";
}

// The sheet without its panels: ground, title, legend, note. A page keeps it for its script, which tells the
// state behind the title.
std::string frame(const Figure& figure, const Layout& layout, const std::string& attributes,
                  const std::string& state) {
  std::string out = "<svg" + attributes + " class=\"chart\" viewBox=\"-16 -8 " + fixed(sheet_width + 32, 0) +
                    ' ' + fixed(layout.height + 16, 0) + "\" width=\"" + fixed(sheet_width + 32, 0) +
                    "\" height=\"" + fixed(layout.height + 16, 0) +
                    "\">\n<style></style>\n<rect class=\"ground\" x=\"-16\" y=\"-8\" width=\"" +
                    fixed(sheet_width + 32, 0) + "\" height=\"" + fixed(layout.height + 16, 0) + "\"/>\n";
  out += svg::text(0, 14, "start", figure.title + (state.empty() ? "" : ", " + state), "title");
  for (std::size_t i = 0; i < figure.legend.size(); ++i) {
    const Figure::LegendEntry& entry = figure.legend[i];
    double x = layout.legend[i].x;
    const double y = layout.legend[i].y;
    if (!entry.before.empty()) {
      out += svg::text(x, y + 13, "start", entry.before);
      x += svg::width_of(entry.before) + 6;
    }
    out += picture(entry, " x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y + 4, 1) + '"') + '\n';
    out += svg::text(x + entry.width + 7, y + 13, "start", entry.words);
  }
  for (std::size_t i = 0; i < layout.note.size(); ++i)
    out += svg::text(0, layout.note_y + 18 * static_cast<double>(i), "start", layout.note[i]);
  return out + "</svg>\n";
}

// As it stands in a page or, with only the last of its states, in a file.
std::string panel_svg(const Figure& figure, const Figure::Panel& panel, const Layout::Place& place,
                      bool all_states) {
  const bool named = !panel.label.empty() && panel.label != figure.title;
  std::string out = std::string("<svg class=\"panel") + (panel.width > 560 ? " wide" : "") + "\" x=\"" +
                    fixed(place.x, 0) + "\" y=\"" + fixed(place.y, 0) + "\" width=\"" +
                    fixed(panel.width, 0) + "\" height=\"" + fixed(panel.height, 0) + "\" viewBox=\"0 0 " +
                    fixed(panel.width, 0) + ' ' + fixed(panel.height, 0) + "\" role=\"img\" aria-label=\"" +
                    escape_html(figure.title + (named ? ": " + panel.label : "")) + "\">\n" + panel.svg;
  for (std::size_t i = 0; i < panel.states.size(); ++i) {
    const bool last = i + 1 == panel.states.size();
    if (last || all_states)
      out += std::string("<g class=\"state\"") + (last ? ">" : " display=\"none\">") + panel.states[i] +
             "</g>\n";
  }
  return out + "</svg>\n";
}

std::string percent_encoded(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code < 0x7f && std::string_view("%#\"<>&'").find(c) == std::string_view::npos) {
      out += c;
    } else {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", unsigned{code});
      out += hex;
    }
  }
  return out;
}

std::string legend_of(const std::vector<Figure::LegendEntry>& entries) {
  if (entries.empty()) return "";
  std::string html = "<div class=\"legend\">";
  for (const Figure::LegendEntry& entry : entries) {
    html += "<span>" + escape_html(entry.before) + picture(entry, "");
    html += escape_html(entry.words) + "</span>";
  }
  return html + "</div>\n";
}

// The slider stays hidden until the script shows it; the last state's name stands there anyway.
std::string player(const Figure& figure) {
  std::string names;
  for (std::string name : figure.states) {
    std::replace(name.begin(), name.end(), '|', '/');
    names += (names.empty() ? "" : "|") + name;
  }
  const std::string last = std::to_string(figure.states.size() - 1);
  return "<div class=\"player\" data-states=\"" + escape_html(names) +
         "\"><button type=\"button\" hidden>Play</button><input type=\"range\" min=\"0\" max=\"" + last +
         "\" value=\"" + last + "\" aria-label=\"which state\" aria-valuetext=\"" +
         escape_html(figure.states.back()) + "\" hidden/><output>" + escape_html(figure.states.back()) +
         "</output></div>\n";
}

}  // namespace

// ---- A figure in a page, and alone

std::string slug(std::string_view title) {
  std::string out;
  for (const char c : title) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x80 && std::isalnum(code) != 0)
      out += static_cast<char>(std::tolower(code));
    else if (!out.empty() && out.back() != '-')
      out += '-';
    if (out.size() == 80) break;
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "figure" : out;
}

std::string legend(const std::vector<Figure>& figures) {
  std::vector<Figure::LegendEntry> entries;
  for (const Figure& figure : figures) {
    for (const Figure::LegendEntry& entry : figure.legend) {
      const auto same = [&](const Figure::LegendEntry& other) { return other.words == entry.words; };
      if (std::none_of(entries.begin(), entries.end(), same)) entries.push_back(entry);
    }
  }
  return legend_of(entries);
}

std::string show(const Figure& figure, bool with_legend) {
  const std::string id = slug(figure.id.empty() ? figure.title : figure.id);
  std::string html = "<figure class=\"chart\" id=\"" + escape_html(id) + "\"><figcaption>" +
                     escape_html(figure.title) + "</figcaption>\n";
  if (figure.panels.empty()) return html + "<p class=\"none\">nothing to draw yet</p></figure>\n";
  const Layout layout = layout_of(figure);
  html += "<div class=\"have\"><template>" + frame(figure, layout, "", "") +
          "</template><button type=\"button\" class=\"save\" aria-label=\"SVG, of " +
          escape_html(figure.title) + "\" hidden>SVG</button>";
  const std::string csv = figure.thinned ? "CSV, thinned" : "CSV";
  if (!figure.csv.empty())
    html += "<a download=\"" + escape_html(id) + ".csv\" aria-label=\"" + csv + ", of " +
            escape_html(figure.title) + "\" href=\"data:text/csv;charset=utf-8," +
            percent_encoded(figure.csv) + "\">" + csv + "</a>";
  html += "</div>\n";
  if (with_legend) html += legend_of(figure.legend);
  const bool several = figure.panels.size() > 1 || figure.panels[0].width < 240;
  html += several ? "<div class=\"panels\" style=\"--panel: " + fixed(0.85 * figure.panels[0].width, 0) +
                        "px\">\n"
                  : std::string("<div class=\"sheet\">\n");
  for (std::size_t i = 0; i < figure.panels.size(); ++i)
    html += panel_svg(figure, figure.panels[i], layout.panels[i], true);
  html += "</div>\n";
  if (figure.states.size() > 1) html += player(figure);
  if (!figure.note.empty()) html += "<p class=\"note\">" + escape_html(figure.note) + "</p>\n";
  return html + "</figure>\n";
}

std::string standalone_svg(const Figure& figure) {
  const Layout layout = layout_of(figure);
  std::string out = frame(figure, layout, " xmlns=\"http://www.w3.org/2000/svg\"",
                          figure.states.empty() ? "" : figure.states.back());
  const std::string style = "<style>", end = "</svg>\n";
  out.insert(out.find(style) + style.size(), svg::standalone_style());
  out.resize(out.size() - end.size());
  for (std::size_t i = 0; i < figure.panels.size(); ++i)
    out += panel_svg(figure, figure.panels[i], layout.panels[i], false);
  return out + end;
}

std::vector<ChartPoint> smooth(const std::vector<ChartPoint>& points, std::size_t reach) {
  std::vector<ChartPoint> finite;
  for (const ChartPoint& p : points)
    if (svg::drawable(p)) finite.push_back(p);
  std::vector<double> sums(finite.size() + 1);  // of the first i values: a mean is then one difference
  for (std::size_t i = 0; i < finite.size(); ++i) sums[i + 1] = sums[i] + finite[i].y;
  std::vector<ChartPoint> out = finite;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t r = std::min({reach, i, out.size() - 1 - i});
    out[i].y = (sums[i + r + 1] - sums[i - r]) / static_cast<double>(2 * r + 1);
  }
  return out;
}

double far_from(std::vector<double> reaches, double times) {
  const auto none = std::numeric_limits<double>::infinity();
  if (reaches.size() < 4) return none;
  const auto middle = reaches.begin() + static_cast<std::ptrdiff_t>(reaches.size() / 2);
  std::nth_element(reaches.begin(), middle, reaches.end());
  const double limit = times * *middle;
  const auto far = static_cast<std::size_t>(
      std::count_if(reaches.begin(), reaches.end(), [&](double reach) { return reach > limit; }));
  return limit > 0 && far > 0 && 4 * far <= reaches.size() ? limit : none;
}

}  // namespace ef
