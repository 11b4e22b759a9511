// Pages of results: one HTML file each that opens anywhere, without a network. Light and dark as the reader's
// system, printed light, readable on a phone, whole without scripts: these only sort, slide and save.
//
//   Page page{.title = "Two arms", .lead = "What 5 seeds say."};
//   page.sections.push_back({"Loss", {prose("Lower is better."), draw(chart), show(table)}});
//   write_page("report.html", page);
//   export_figures("figures", page);   // figures/ID.svg, figures/ID.csv
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "train/plot/figure.h"

namespace ef {

// ---- What a page holds

// A piece of a section: HTML, or figures beside each other.
struct Content {
  std::string html = "";
  std::vector<Figure> figures = {};
  bool shared_legend = false;  // told once above the figures
  std::string fold = "";       // its heading, if all of it is folded away

  Content(std::string text) : html(std::move(text)) {}
  Content(Figure figure) : figures{std::move(figure)} {}
  // In rows of two, or three where there are three.
  Content(std::vector<Figure> several, bool share) : figures(std::move(several)), shared_legend(share) {}
};

struct Section {
  std::string heading = "";  // "": none
  std::vector<Content> contents = {};
  std::string id = "";  // "": slug(heading)
};

struct Page {
  std::string title = "", lead = "";  // text
  std::vector<Section> sections = {};
  bool contents = false;  // a list of the sections at the top
  int refresh = 0;        // seconds after which a browser loads it anew, as it changes; 0: never
};

// The whole file. Where figures or sections share an id, the later ones get -2, -3, ...
std::string page_html(const Page& page);
// Atomically (train/files/files.h). Error if it cannot be written.
void write_page(const std::string& path, const Page& page);
// All figures as FOLDER/ID.svg and FOLDER/ID.csv, with the ids of the page; makes the folder. Error if that
// cannot be done; figures without anything to draw are left out.
void export_figures(const std::string& folder, const Page& page);

// ---- HTML of parts, to be put together

// Text as it is; an empty line begins a new paragraph. `code` in backticks is set as such.
std::string prose(const std::string& text);
// The same, small and grey: remarks.
std::string remark(const std::string& text);
// Text of which each space counts, as samples.
std::string preformatted(const std::string& text);
// Text within a line: `code` in backticks; a single backtick stands for itself.
std::string with_code(const std::string& text);
// What to type to get all this, a command a line; a # begins a comment.
std::string commands(const std::string& lines);
// Folded away until it is clicked; printed open.
std::string folded(const std::string& heading, const std::string& html);

// A few numbers, large.
struct BigNumber {
  std::string label = "", value = "", note = "";
};
std::string show(const std::vector<BigNumber>& numbers);

// ---- Tables

struct Cell {
  std::string text = "";
  std::string key = "";   // what it is sorted by; "": the text, as a number in columns of numbers
  std::string html = "";  // stands there instead of the text, if not ""
  int colour = -1;        // a spot of this colour in front, as of a Series: for the names of arms

  Cell(std::string words, std::string sort_key = "", int spot = -1)
      : text(std::move(words)), key(std::move(sort_key)), colour(spot) {}
  Cell(const char* words) : text(words) {}
  // `digits` significant digits; sorted by value; "–" if not finite, which comes last.
  static Cell number(double value, int digits = 4);
};

struct Table {
  enum class Order { none, ascending, descending };
  struct Column {
    std::string name = "";
    bool number = false;    // aligned right, sorted by value
    std::string hint = "";  // a tooltip
  };
  std::string caption = "";
  std::vector<Column> columns = {};
  std::vector<std::vector<Cell>> rows = {};  // a short row ends with empty cells
  int ordered_by = -1;                       // the column by which rows are given here, which says so
  Order order = Order::ascending;
  bool sortable = true;
  bool heads = true;  // the first cell of a row is its heading
};

// In a box that scrolls where the table is too wide. Error if a row is longer than there are columns.
std::string show(const Table& table);

// Names and values, in two columns where there is room.
std::string options_table(const std::vector<std::pair<std::string, std::string>>& rows);

}  // namespace ef
