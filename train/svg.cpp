#include "train/svg.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "train/svg_parts.h"

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

// The sheet without its panels: ground, title, legend, note. A page keeps it for its script.
std::string frame(const Figure& figure, const Layout& layout, const std::string& attributes) {
  std::string out = "<svg" + attributes + " class=\"chart\" viewBox=\"-16 -8 " + fixed(sheet_width + 32, 0) +
                    ' ' + fixed(layout.height + 16, 0) + "\" width=\"" + fixed(sheet_width + 32, 0) +
                    "\" height=\"" + fixed(layout.height + 16, 0) +
                    "\">\n<style></style>\n<rect class=\"ground\" x=\"-16\" y=\"-8\" width=\"" +
                    fixed(sheet_width + 32, 0) + "\" height=\"" + fixed(layout.height + 16, 0) + "\"/>\n";
  out += svg::text(0, 14, "start", figure.title, "title");
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
std::string panel_svg(const Figure::Panel& panel, const Layout::Place& place, bool all_states) {
  std::string out = std::string("<svg class=\"panel") + (panel.width > 560 ? " wide" : "") + "\" x=\"" +
                    fixed(place.x, 0) + "\" y=\"" + fixed(place.y, 0) + "\" width=\"" +
                    fixed(panel.width, 0) + "\" height=\"" + fixed(panel.height, 0) + "\" viewBox=\"0 0 " +
                    fixed(panel.width, 0) + ' ' + fixed(panel.height, 0) + "\" role=\"img\" aria-label=\"" +
                    escape_html(panel.label) + "\">\n" + panel.svg;
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
         "\" value=\"" + last + "\" aria-label=\"which state\" hidden/><output>" +
         escape_html(figure.states.back()) + "</output></div>\n";
}

// ---- Colours and styles

struct Shade {
  const char *name, *light, *dark;
};
constexpr Shade shades[] = {
    {"c0", "#6b7280", "#98a0ad"},   {"c1", "#2b6cb0", "#74b0f4"},     {"c2", "#c2570c", "#f29d5b"},
    {"c3", "#2f7d4f", "#74c995"},   {"c4", "#7a4fb5", "#b99af0"},     {"c5", "#b8394a", "#f08a94"},
    {"c6", "#0e7f8c", "#5cc7d3"},   {"c7", "#8a6d00", "#d6b84a"},     {"c8", "#b0448f", "#ec93cf"},
    {"grid", "#e4e6ea", "#2a2f37"}, {"axis", "#9aa1ab", "#5b6370"},   {"muted", "#5f6672", "#a0a7b3"},
    {"ink", "#1c2026", "#e4e7ec"},  {"ground", "#ffffff", "#15181d"}, {"panel", "#f6f7f9", "#1d2127"},
};

constexpr const char* font = R"(system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif)";

// What is drawn inside SVG.
std::string drawing_style() {
  std::string css =
      R"(.chart text { font-size: 12px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.chart text.title { font-size: 15px; font-weight: 600; fill: var(--ink); }
.chart text.words { fill: var(--ink); }
.chart text.strong { fill: var(--ink); font-weight: 600; }
.chart text.letter { fill: var(--ink); font-weight: 600; }
.ground { fill: var(--ground); }
.void { fill: var(--grid); opacity: 0.6; }
.grid { stroke: var(--grid); }
.axis { stroke: var(--axis); }
.ink { stroke: var(--ink); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.halo { fill: none; stroke: var(--ground); stroke-width: 4; stroke-opacity: 0.6; stroke-linejoin: round; }
.thin { stroke-width: 1; opacity: 0.5; }
.key .thin { opacity: 0.75; }
.dashed { stroke-width: 1.5; stroke-dasharray: 5 5; stroke-linecap: butt; }
.dotted { stroke-width: 1.5; }
.spots { fill: none; stroke-width: 4; stroke-linecap: round; stroke-opacity: 0.7; }
.faint { stroke-width: 1; opacity: 0.6; }
.cell { shape-rendering: crispEdges; }
.hit { fill: transparent; }
)";
  for (int i = 0; i <= 8; ++i) {
    const std::string c = svg::colour_class(i);
    css.append(1, '.').append(c).append("{stroke:var(--").append(c).append(")}");
    for (const char* kind : {".dot.", ",.band.", ",.area."}) css.append(kind).append(c);
    css.append("{fill:var(--").append(c).append(")}\n");
  }
  // With an element's name, to win over the colours of lines.
  css += R"(svg .dot { stroke: var(--ground); stroke-width: 1; }
svg .band { fill-opacity: 0.17; stroke: none; }
svg .area { fill-opacity: 0.4; stroke: none; }
)";
  return css;
}

// The same for a file of its own, where there are no variables.
std::string standalone_style() {
  std::string css = drawing_style();
  for (const Shade& shade : shades) {
    const std::string variable = std::string("var(--") + shade.name + ")";
    for (std::size_t at = css.find(variable); at != std::string::npos; at = css.find(variable, at))
      css.replace(at, variable.size(), shade.light);
  }
  return std::string("\nsvg { font-family: ") + font + "; }\n" + css + svg::map_style(false);
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
  html += "<div class=\"have\"><template>" + frame(figure, layout, "") +
          "</template><button type=\"button\" class=\"save\" hidden>SVG</button>";
  if (!figure.csv.empty())
    html += "<a download=\"" + escape_html(id) + ".csv\" href=\"data:text/csv;charset=utf-8," +
            percent_encoded(figure.csv) + "\">" + (figure.thinned ? "CSV, thinned" : "CSV") + "</a>";
  html += "</div>\n";
  if (with_legend) html += legend_of(figure.legend);
  const bool several = figure.panels.size() > 1 || figure.panels[0].width < 240;
  html += several ? "<div class=\"panels\" style=\"--panel: " + fixed(0.85 * figure.panels[0].width, 0) +
                        "px\">\n"
                  : std::string("<div class=\"sheet\">\n");
  for (std::size_t i = 0; i < figure.panels.size(); ++i)
    html += panel_svg(figure.panels[i], layout.panels[i], true);
  html += "</div>\n";
  if (figure.states.size() > 1) html += player(figure);
  if (!figure.note.empty()) html += "<p class=\"note\">" + escape_html(figure.note) + "</p>\n";
  return html + "</figure>\n";
}

std::string standalone_svg(const Figure& figure) {
  const Layout layout = layout_of(figure);
  std::string out = frame(figure, layout, " xmlns=\"http://www.w3.org/2000/svg\"");
  const std::string style = "<style>", end = "</svg>\n";
  out.insert(out.find(style) + style.size(), standalone_style());
  out.resize(out.size() - end.size());
  for (std::size_t i = 0; i < figure.panels.size(); ++i)
    out += panel_svg(figure.panels[i], layout.panels[i], false);
  return out + end;
}

std::string chart_style() {
  std::string light, dark;
  for (const Shade& shade : shades) {
    light += std::string(" --") + shade.name + ": " + shade.light + ";";
    dark += std::string(" --") + shade.name + ": " + shade.dark + ";";
  }
  std::string css = "\n:root {" + light + " }\n" + svg::map_style(false);
  css += "@media screen and (prefers-color-scheme: dark) {\n:root {" + dark + " }\n" + svg::map_style(true) +
         "}\n";
  return css + drawing_style() +
         R"(.chart { position: relative; margin: 0; break-inside: avoid; min-width: 0; }
.chart figcaption { font-weight: 600; padding-right: 5.5rem; }
.sheet { overflow-x: auto; margin-top: 0.5rem; }
.chart svg.panel { display: block; width: 100%; height: auto; overflow: visible; }
.legend { display: flex; flex-wrap: wrap; gap: 0.15rem 1.4rem; margin-top: 0.15rem; font-size: 0.8125rem; color: var(--muted); }
.legend span { display: inline-flex; align-items: center; gap: 0.45rem; white-space: pre-wrap; }
.legend svg { flex: none; overflow: visible; }
.chart .none { color: var(--muted); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(var(--panel), 100%), 1fr)); gap: 1.25rem 1.5rem; margin-top: 0.75rem; }
.panels svg { break-inside: avoid; }
.chart .note { margin: 0.75rem 0 0; font-size: 0.8125rem; color: var(--muted); }
.have { position: absolute; top: 0.2rem; right: 0; display: flex; gap: 0.75rem; font-size: 0.75rem; }
.have button, .have a { font: inherit; color: var(--muted); background: none; border: 0; padding: 0; cursor: pointer; text-decoration: underline; text-decoration-color: var(--grid); text-underline-offset: 0.2em; }
.have button:hover, .have a:hover { color: var(--ink); text-decoration-color: currentColor; }
.player { display: flex; align-items: center; gap: 0.75rem; margin-top: 0.75rem; font-size: 0.8125rem; color: var(--muted); font-variant-numeric: tabular-nums; }
.player button { font: inherit; min-width: 4rem; color: var(--ink); background: var(--panel); border: 1px solid var(--grid); border-radius: 4px; padding: 0.15rem 0.6rem; cursor: pointer; }
.player input { flex: 1; max-width: 24rem; accent-color: var(--c1); }
[hidden] { display: none !important; }
@media screen and (max-width: 620px) { .sheet > .wide { min-width: 560px; } .panels { grid-template-columns: repeat(auto-fill, minmax(min(0.75 * var(--panel), 100%), 1fr)); gap: 1rem 0.75rem; } }
@media print { .have, .player button, .player input { display: none !important; } }
)";
}

std::string chart_script() {
  return "const style = `" + standalone_style() + R"(`;
const save = (name, type, text) => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};
for (const figure of document.querySelectorAll('figure.chart')) {
  const panels = figure.querySelectorAll('svg.panel'), button = figure.querySelector('.save');
  if (button) {
    button.hidden = false;
    button.onclick = () => {
      const sheet = figure.querySelector('template').content.firstElementChild.cloneNode(true);
      sheet.querySelector('style').textContent = style;
      for (const panel of panels) sheet.append(panel.cloneNode(true));
      for (const state of sheet.querySelectorAll('.state[display=none]')) state.remove();
      save(figure.id + '.svg', 'image/svg+xml', new XMLSerializer().serializeToString(sheet));
    };
  }
  const player = figure.querySelector('.player');
  if (!player) continue;
  const play = player.querySelector('button'), range = player.querySelector('input');
  const names = player.dataset.states.split('|');
  let timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = 'Play'; };
  const go = (state) => {
    range.value = state;
    player.querySelector('output').textContent = names[state];
    for (const panel of panels)
      panel.querySelectorAll('.state').forEach((g, i) =>
        i === state ? g.removeAttribute('display') : g.setAttribute('display', 'none'));
  };
  play.hidden = range.hidden = false;
  range.oninput = () => { stop(); go(Number(range.value)); };
  play.onclick = () => {
    if (timer) return stop();
    play.textContent = 'Pause';
    if (Number(range.value) === names.length - 1) go(0);
    timer = setInterval(() => {
      go(Number(range.value) + 1);
      if (Number(range.value) === names.length - 1) stop();
    }, 250);
  };
}
)";
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

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if ((code < 0x20 && c != '\n' && c != '\t') || code == 0x7f)
          out += "\xEF\xBF\xBD";  // U+FFFD
        else
          out += c;
    }
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char buffer[400];  // the largest double has 309 digits
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

std::string concise(double value, int digits) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string grouped(double value) {
  std::string digits = fixed(std::fabs(value), 0);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return (value <= -0.5 ? "-" : "") + digits;
}

namespace {

template <class Number>
std::string shortest(Number value) {
  if (!std::isfinite(value)) return "";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace

std::string exact(double value) { return shortest(value); }
std::string exact(float value) { return shortest(value); }

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

}  // namespace ef
