#include "train/plot/page.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "engine/error.h"
#include "train/files/files.h"
#include "train/plot/page_style.h"

namespace ef {

std::string with_code(const std::string& text) {
  std::string html;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t open = text.find('`', begin),
                      close = open == std::string::npos ? open : text.find('`', open + 1);
    if (close == std::string::npos) return html + escape_html(std::string_view(text).substr(begin));
    html += escape_html(std::string_view(text).substr(begin, open - begin)) + "<code>" +
            escape_html(std::string_view(text).substr(open + 1, close - open - 1)) + "</code>";
    begin = close + 1;
  }
  return html;
}

namespace {

std::string element(const std::string& tag, const std::string& kind, const std::string& html) {
  std::string out = "<" + tag;
  if (!kind.empty()) out += " class=\"" + kind + '"';
  return out + '>' + html + "</" + tag + ">\n";
}

std::string paragraphs(const std::string& text, const std::string& kind) {
  std::string html;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find("\n\n", begin), text.size());
    const std::string paragraph = text.substr(begin, end - begin);
    if (paragraph.find_first_not_of(" \n") != std::string::npos)
      html += element("p", kind, with_code(paragraph));
    begin = end + 2;
  }
  return html;
}

// The page with an id of its own for each section and figure.
Page with_ids(Page page) {
  std::set<std::string> taken = {"top"};
  const auto give = [&](std::string& id, const std::string& title) {
    id = slug(id.empty() ? title : id);  // also a given id: it names files
    const std::string first = id;
    for (int i = 2; !taken.insert(id).second; ++i) id = first + '-' + std::to_string(i);
  };
  // Figures first: their ids are names of files.
  for (Section& section : page.sections)
    for (Content& content : section.contents)
      for (Figure& figure : content.figures) give(figure.id, figure.title);
  for (Section& section : page.sections)
    if (!section.heading.empty()) give(section.id, section.heading);
  return page;
}

std::string show_open(const Content& content) {
  if (content.figures.empty()) return content.html;
  if (content.figures.size() == 1) return content.html + ef::show(content.figures[0]);
  std::string html = content.html;
  if (content.shared_legend) html += legend(content.figures);
  html += content.figures.size() == 3 ? "<div class=\"trio\">\n" : "<div class=\"pair\">\n";
  for (const Figure& figure : content.figures) html += ef::show(figure, !content.shared_legend);
  return html + "</div>\n";
}

std::string show(const Content& content) {
  const std::string html = show_open(content);
  return content.fold.empty() ? html : folded(content.fold, html);
}

// A name such as attn.profile.last_quarter, with places to break the line at.
std::string breakable(const std::string& html) {
  std::string with_breaks;
  for (std::size_t i = 0; i < html.size(); ++i) {
    with_breaks += html[i];
    const bool joins = html[i] == '.' || html[i] == '_';
    if (joins && i + 1 < html.size() && std::isalpha(static_cast<unsigned char>(html[i + 1])) != 0)
      with_breaks += "<wbr>";
  }
  return with_breaks;
}

}  // namespace

// ---- The page

std::string page_html(const Page& given) {
  const Page page = with_ids(given);
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n";  // or a browser would ask a server for one
  if (page.refresh > 0)
    html += "<meta http-equiv=\"refresh\" content=\"" + std::to_string(page.refresh) + "\">\n";
  html += "<title>" + escape_html(page.title) + "</title>\n<style>" + chart_style() + page_style() +
          "</style>\n</head>\n<body>\n<main id=\"top\">\n<h1>" + escape_html(page.title) + "</h1>\n";
  html += paragraphs(page.lead, "lead");
  if (page.contents) {
    html += "<nav aria-label=\"contents\"><ul>\n";
    for (const Section& section : page.sections)
      if (!section.heading.empty())
        html += "<li><a href=\"#" + escape_html(section.id) + "\">" + escape_html(section.heading) +
                "</a></li>\n";
    html += "</ul></nav>\n";
  }
  for (const Section& section : page.sections) {
    html += "<section>\n";
    if (!section.heading.empty())
      html += "<h2 id=\"" + escape_html(section.id) + "\">" + escape_html(section.heading) + "</h2>\n";
    for (const Content& content : section.contents) html += show(content);
    html += "</section>\n";
  }
  return html + "</main>\n<script>\n" + chart_script() + page_script() + "</script>\n</body>\n</html>\n";
}

void write_page(const std::string& path, const Page& page) { write_atomically(path, page_html(page)); }

void export_figures(const std::string& folder, const Page& given) {
  make_folder(folder);
  const Page page = with_ids(given);
  for (const Section& section : page.sections) {
    for (const Content& content : section.contents) {
      for (const Figure& figure : content.figures) {
        if (figure.panels.empty()) continue;
        write_atomically(folder + '/' + figure.id + ".svg", standalone_svg(figure));
        write_atomically(folder + '/' + figure.id + ".csv", figure.csv);
      }
    }
  }
}

// ---- Parts

std::string prose(const std::string& text) { return paragraphs(text, ""); }
std::string remark(const std::string& text) { return paragraphs(text, "remark"); }

// A line end right after <pre> is not part of the text; without it the text's own first one would be lost.
std::string preformatted(const std::string& text) { return "<pre>\n" + escape_html(text) + "</pre>\n"; }

std::string commands(const std::string& lines) {
  std::string html;
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', begin), lines.size());
    const std::string line = escape_html(std::string_view(lines).substr(begin, end - begin));
    html += (line.starts_with("#") ? "<span class=\"comment\">" + line + "</span>" : line) + '\n';
    begin = end + 1;
  }
  if (!html.empty()) html.pop_back();
  return "<div class=\"commands\"><button type=\"button\" hidden>Copy</button><pre>" + html +
         "</pre></div>\n";
}

std::string folded(const std::string& heading, const std::string& html) {
  return "<details><summary>" + escape_html(heading) + "</summary>\n" + html + "</details>\n";
}

std::string show(const std::vector<BigNumber>& numbers) {
  if (numbers.empty()) return "";
  // Rows of three or of four, so that none is left with a single number.
  std::string html = numbers.size() == 5 || numbers.size() == 6 ? "<div class=\"figures threes\">\n"
                                                                : "<div class=\"figures\">\n";
  for (const BigNumber& n : numbers)
    html += "<div><span class=\"label\">" + escape_html(n.label) + "</span><span class=\"value\">" +
            escape_html(n.value) + "</span><span class=\"note\">" + escape_html(n.note) + "</span></div>\n";
  return html + "</div>\n";
}

// ---- Tables

Cell Cell::number(double value, int digits) {
  return std::isfinite(value) ? Cell(concise(value, digits), exact(value)) : Cell("–");
}

std::string show(const Table& table) {
  std::string html = std::string("<div class=\"scroll\"><table") +
                     (table.sortable && table.rows.size() > 1 ? " class=\"sortable\"" : "") + ">\n";
  if (!table.caption.empty()) html += "<caption>" + with_code(table.caption) + "</caption>\n";
  html += "<thead><tr>";
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const Table::Column& column = table.columns[i];
    html += std::string("<th scope=\"col\"") + (column.number ? " class=\"number\"" : "");
    if (!column.hint.empty()) html += " title=\"" + escape_html(column.hint) + '"';
    if (static_cast<int>(i) == table.ordered_by && table.order != Table::Order::none)
      html +=
          table.order == Table::Order::ascending ? " aria-sort=\"ascending\"" : " aria-sort=\"descending\"";
    html += '>' + breakable(escape_html(column.name)) + "</th>";
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const std::vector<Cell>& row : table.rows) {
    if (row.size() > table.columns.size())
      fail("a row of table " + table.caption, std::to_string(row.size()) + " cells",
           std::to_string(table.columns.size()) + " at most");
    html += "<tr>";
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const bool head = i == 0 && table.heads;
      html += head ? "<th scope=\"row\"" : "<td";
      if (table.columns[i].number) html += " class=\"number\"";
      if (i >= row.size()) {
        html += head ? "></th>" : "></td>";
        continue;
      }
      const Cell& cell = row[i];
      if (!cell.key.empty()) html += " data-key=\"" + escape_html(cell.key) + '"';
      html += '>';
      if (cell.colour >= 0)
        html +=
            "<svg class=\"spot\" viewBox=\"0 0 10 10\" width=\"10\" height=\"10\" "
            "aria-hidden=\"true\"><circle class=\"dot " +
            std::string(1, 'c') + std::to_string(cell.colour) + "\" cx=\"5\" cy=\"5\" r=\"4.5\"/></svg>";
      html += cell.html.empty() ? with_code(cell.text) : cell.html;
      html += head ? "</th>" : "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

// Two tables side by side: options are long and narrow.
std::string options_table(const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string html = "<div class=\"pair options\">\n";
  const std::size_t half = (rows.size() + 1) / 2;
  for (std::size_t begin = 0; begin < rows.size(); begin += half) {
    html += "<table><tbody>\n";
    for (std::size_t i = begin; i < std::min(begin + half, rows.size()); ++i)
      html += "<tr><th scope=\"row\">" + escape_html(rows[i].first) + "</th><td>" +
              escape_html(rows[i].second) + "</td></tr>\n";
    html += "</tbody></table>\n";
  }
  return html + "</div>\n";
}

}  // namespace ef
