#include "train/plot/page_style.h"

namespace ef {

std::string page_style() {
  return R"(
:root { color-scheme: light dark; --yes: var(--c3); --partly: var(--c7); --no: var(--c5); --open: var(--c4); --idle: var(--c0); }
@media print { :root { color-scheme: light; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1 { margin: 0; font-size: 2rem; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; overflow-wrap: anywhere; }
h2 { margin: 3rem 0 0.75rem; font-size: 1.125rem; font-weight: 600; }
h3 { margin: 0; font-size: 1rem; line-height: 1.4; font-weight: 600; }
p { margin: 0.75rem 0 0; max-width: 44rem; overflow-wrap: break-word; }
a { color: inherit; }
code { font: 0.9em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.lead { margin: 0.35rem 0 0; color: var(--muted); }
.remark { margin: 1.25rem 0 0; font-size: 0.8125rem; color: var(--muted); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; margin: 1.25rem 0 0; padding: 0; list-style: none; font-size: 0.875rem; }
nav a { color: var(--muted); text-decoration-color: var(--axis); text-underline-offset: 0.2em; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 1.5rem; margin: 2rem 0 2.75rem; padding: 1.5rem 0; border: solid var(--grid); border-width: 1px 0; }
.figures span { display: block; }
.figures .label, .figures .note { font-size: 0.8125rem; color: var(--muted); }
.figures .value { font-size: 1.75rem; line-height: 1.35; font-weight: 600; letter-spacing: -0.01em; font-variant-numeric: tabular-nums; }
.threes { grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }
.pair, .trio { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 2rem; align-items: start; margin-top: 2.25rem; }
.trio { grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.legend + .pair, .legend + .trio, h2 + .pair, h2 + .trio { margin-top: 1rem; }
.trio > .chart { max-width: 24rem; }
.pair > .chart:only-child { max-width: 28rem; }
section > .lead { font-size: 0.8125rem; }
section > .legend { margin: 1.25rem 0 0; }
section > .chart, section > .scroll { margin-top: 2.25rem; }
section > h2 + .chart, section > h2 + .scroll { margin-top: 0; }
pre { margin: 0.75rem 0 0; padding: 1rem 1.25rem; background: var(--panel); border: 1px solid var(--grid); border-radius: 6px; font: 0.8125rem/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.commands { position: relative; }
.commands button { position: absolute; top: 0.6rem; right: 0.6rem; font: inherit; font-size: 0.75rem; line-height: 1.4; color: var(--muted); background: var(--ground); border: 1px solid var(--grid); border-radius: 4px; padding: 0.1rem 0.5rem; cursor: pointer; }
.commands button:hover { color: var(--ink); }
.commands pre { padding-right: 5rem; }
.comment { color: var(--muted); }
.scroll { overflow-x: auto; }
.scroll th, .scroll td { padding-right: 1rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.8125rem; }
caption { text-align: left; font-size: 1rem; font-weight: 600; padding-bottom: 0.25rem; }
th, td { padding: 0.35rem 1.25rem 0.35rem 0; border-bottom: 1px solid var(--grid); vertical-align: baseline; text-align: left; font-variant-numeric: tabular-nums; }
th:last-child, td:last-child { padding-right: 0; }
th { font-weight: 400; }
thead th { color: var(--muted); vertical-align: bottom; }
tbody small { display: block; color: var(--muted); }
tbody th { min-width: 8rem; }
.scroll td:not(.number) { min-width: 6rem; }
.scroll tbody th { position: sticky; left: 0; min-width: min(11rem, 40vw); max-width: 22rem; background: var(--ground); }
.scroll .badge, .scroll code { white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
tr { break-inside: avoid; }
.spot { margin-right: 0.5rem; }
.sort { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: inherit; }
.sort:hover { color: var(--ink); }
th:not([aria-sort]) > .sort::after { content: " ↕"; opacity: 0.45; }
[aria-sort] { color: var(--ink); }
[aria-sort=ascending]::after { content: " ↑"; }
[aria-sort=descending]::after { content: " ↓"; }
.options { margin-top: 0; }
.options th { padding-right: 1rem; color: var(--muted); white-space: nowrap; }
.options td { text-align: right; overflow-wrap: anywhere; }
.badge { display: inline-block; padding: 0.05rem 0.55rem; border: 1px solid; border-radius: 1rem; font-size: 0.75rem; font-weight: 600; line-height: 1.5; }
.yes { color: var(--yes); } .partly { color: var(--partly); } .no { color: var(--no); } .open { color: var(--open); } .idle { color: var(--idle); }
.claim { margin-top: 1.5rem; padding-top: 1.25rem; border-top: 1px solid var(--grid); }
.claim .head { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: baseline; justify-content: space-between; break-after: avoid; }
.finding { font-size: 0.8125rem; color: var(--muted); white-space: nowrap; }
.claim details { margin-top: 0.75rem; }
.claim h3 { flex: 1 1 20rem; max-width: 40rem; }
.claim .source { margin-top: 0.15rem; font-size: 0.8125rem; color: var(--muted); }
.claim .scroll { margin-top: 0.75rem; }
details { margin-top: 1.5rem; }
summary { cursor: pointer; font-weight: 600; }
tr.on th, tr.on td { color: var(--ink); font-weight: 600; }
@media screen and (max-width: 620px) { main { padding: 2rem 1rem 3rem; } h2 { margin-top: 2.25rem; } .scroll .badge { white-space: normal; border-radius: 0.6rem; } .scroll td, .scroll th { vertical-align: top; } .scroll tbody th, .scroll tbody td:first-child:not(.number) { min-width: 10rem; } }
@media print { main { max-width: none; padding: 0; } h2, h3, .claim > p, section > .legend, section > .remark { break-after: avoid; } .commands { break-inside: avoid; break-before: avoid; } .sort { display: contents; } th > .sort::after { content: none !important; } details::details-content { content-visibility: visible; display: block; block-size: auto; } .scroll tbody th { position: static; } .figures { break-inside: avoid; } .commands button { display: none !important; } .scroll { overflow: visible; } .scroll th, .scroll td { padding-right: 0.6rem; } .scroll td:not(.number), .scroll tbody th { min-width: 4rem; } .scroll table { font-size: 0.65rem; } .scroll .number { white-space: normal; } }
)";
}

std::string page_script() {
  return R"(for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'sort';
    button.append(...head.childNodes);
    head.append(button);
    const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent;
    const number = (text) => { const value = text === '' ? NaN : Number(text); return value; };
    button.onclick = () => {
      const down = head.getAttribute('aria-sort') === 'ascending';
      for (const other of heads) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const compare = (a, b) => {
        if (!head.classList.contains('number')) return key(a).localeCompare(key(b), 'en', { numeric: true }) * (down ? -1 : 1);
        const x = number(key(a)), y = number(key(b));
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
        return down ? y - x : x - y;
      };
      body.append(...[...body.rows].sort(compare));
    };
  });
}
for (const block of document.querySelectorAll('.commands')) {
  const button = block.querySelector('button');
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.onclick = () => navigator.clipboard.writeText(block.querySelector('pre').textContent).then(() => {
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
}
addEventListener('beforeprint', () => { for (const part of document.querySelectorAll('details')) part.open = true; });
)";
}

}  // namespace ef
