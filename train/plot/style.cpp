// How figures look, and what their script does.
#include <cmath>
#include <cstdio>

#include "train/plot/axes.h"

namespace ef {
namespace {

// ---- Colours of maps

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

// Little is near the ground of the page, much is far from it, in the light as in the dark; lightness falls
// (rises) all the way, so that it reads without colours, too.
std::string map_style(bool dark) {
  const std::vector<Colour> sequential =
      dark ? std::vector<Colour>{{27, 32, 42},   {32, 58, 92},    {30, 100, 130},
                                 {52, 150, 150}, {130, 200, 150}, {244, 240, 180}}
           : std::vector<Colour>{{247, 246, 238}, {206, 228, 205}, {126, 193, 190},
                                 {54, 142, 177},  {36, 87, 148},   {22, 36, 92}};
  std::string css;
  for (int i = 0; i < svg::levels; ++i) {
    const double share = i / (svg::levels - 1.0);
    css.append(".q")
        .append(std::to_string(i))
        .append("{fill:")
        .append(between(sequential, share))
        .append("}");
  }
  return css + '\n';
}

// ---- Colours and rules of drawings

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

}  // namespace

std::string svg::standalone_style() {
  std::string css = drawing_style();
  for (const Shade& shade : shades) {
    const std::string variable = std::string("var(--") + shade.name + ")";
    for (std::size_t at = css.find(variable); at != std::string::npos; at = css.find(variable, at))
      css.replace(at, variable.size(), shade.light);
  }
  return std::string("\nsvg { font-family: ") + font + "; }\n" + css + map_style(false);
}

std::string chart_style() {
  std::string light, dark;
  for (const Shade& shade : shades) {
    light += std::string(" --") + shade.name + ": " + shade.light + ";";
    dark += std::string(" --") + shade.name + ": " + shade.dark + ";";
  }
  std::string css = "\n:root {" + light + " }\n" + map_style(false);
  css +=
      "@media screen and (prefers-color-scheme: dark) {\n:root {" + dark + " }\n" + map_style(true) + "}\n";
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
@media print { .chart svg.panel { max-height: 90vh; } .have, .player button, .player input { display: none !important; } }
)";
}

std::string chart_script() {
  return "const style = `" + svg::standalone_style() + R"(`;
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
      const state = figure.querySelector('.player output');
      if (state) sheet.querySelector('.title').textContent += ', ' + state.textContent;
      for (const panel of panels) sheet.append(panel.cloneNode(true));
      for (const hidden of sheet.querySelectorAll('.state[display=none]')) hidden.remove();
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
    range.setAttribute('aria-valuetext', names[state]);
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

}  // namespace ef
