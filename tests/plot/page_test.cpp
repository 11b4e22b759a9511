// Pages and figures: well formed whatever they hold, whole without scripts, and their numbers to be had
// alone.
#include "train/plot/page.h"

#include <cstdlib>
#include <limits>

#include "tests/pages.h"
#include "tests/programs.h"
#include "train/evidence/claims.h"

namespace ef {
namespace {

const double nan_value = std::nan(""), infinity = std::numeric_limits<double>::infinity();
const std::string hostile = "</style><script>x</script> \"a\" & 'b' `c` \x01 ]]> |";

// Numbers that a figure must survive.
const std::vector<double> odd_numbers = {0,   1,      -1,   nan_value, infinity, -infinity, 1e308, -1e308,
                                         0.1, 1e-308, 1e29, -1e-29,    1e31,     12345.678, -0.0};

void check_figure(const Figure& figure) {
  check_page(show(figure));
  const std::string alone = standalone_svg(figure);
  CHECK(xml_fault(alone) == "");
  CHECK(contains(alone, "xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK_FALSE(contains(alone, "var("));  // programs that are no browsers know no variables
  CHECK_FALSE(contains(alone, "display=\"none\""));
  CHECK_FALSE(contains(alone, "class=\"panel\" x=\"nan"));
  const auto rows = parse_csv(figure.csv);
  for (const auto& row : rows)
    for (const std::string& field : row) {
      CHECK(field != "nan");
      CHECK(field != "inf");
    }
}

Page page_with(std::vector<Content> contents) {
  return {.title = "t", .sections = {{"Section", std::move(contents)}}};
}

// The rows of the CSV that a page's first link holds.
std::vector<std::vector<std::string>> csv_in(const std::string& html) {
  const std::string start = "data:text/csv;charset=utf-8,";
  std::size_t at = html.find(start);
  REQUIRE(at != std::string::npos);
  std::string text;
  for (at += start.size(); html[at] != '"'; ++at) {
    if (html[at] != '%') {
      text += html[at];
      continue;
    }
    text += static_cast<char>(std::stoi(html.substr(at + 1, 2), nullptr, 16));
    at += 2;
  }
  return parse_csv(text);
}

// ---- The checkers themselves

TEST_CASE("xml_fault finds what is wrong", "[page]") {
  CHECK(xml_fault("<a b=\"1\"><c/>&amp; x</a>\n") == "");
  for (const char* bad :
       {"", "<a>", "<a></b>", "<a/><b/>", "<a b></a>", "<a b=\"1\" b=\"2\"/>", "<a>&</a>", "<a b=\"<\"/>",
        "<a>&nbsp;</a>", "<a/>x", "<a>< b</a>", "<a b=1/>", "</a>", "<a>\x01</a>"}) {
    INFO(bad);
    CHECK(xml_fault(bad) != "");
  }
}

// ---- Pages

TEST_CASE("page: title, lead, sections, contents, in their order", "[page]") {
  Page page{.title = "Two <arms>", .lead = "First.\n\nUse `a < b` & c.", .contents = true};
  page.sections.push_back({"", {prose("before all")}});
  page.sections.push_back({"Loss", {prose("one\n\n\n\ntwo"), remark("small"), folded("More", "<p>x</p>\n")}});
  page.sections.push_back({"Loss", {preformatted("\n a < b\n")}});
  const std::string html = page_html(page);
  check_page(html);
  for (const char* expected :
       {"<title>Two &lt;arms&gt;</title>", "<h1>Two &lt;arms&gt;</h1>", "<p class=\"lead\">First.</p>",
        "<p class=\"lead\">Use <code>a &lt; b</code> &amp; c.</p>", "<a href=\"#loss\">Loss</a>",
        "<a href=\"#loss-2\">Loss</a>", "<h2 id=\"loss\">Loss</h2>", "<h2 id=\"loss-2\">",
        "<p>one</p>\n<p>two</p>", "<p class=\"remark\">small</p>", "<summary>More</summary>",
        "<pre>\n\n a &lt; b\n</pre>", "<html lang=\"en\">", "name=\"viewport\"", "prefers-color-scheme: dark",
        "@media print"})
    CHECK(contains(html, expected));
  CHECK(html.find("before all") < html.find("id=\"loss\""));
  check_page(page_html({}));
}

TEST_CASE("page: hostile text is text, everywhere", "[page]") {
  const std::string h = hostile;
  LineChart chart{.title = h,
                  .x_label = h,
                  .y_label = h,
                  .series = {{h, 1, Series::Look::dots, {{1, 2}, {2, 3}}}},
                  .note = h};
  IntervalPlot plot{.title = h,
                    .x_label = h,
                    .rows = {{.label = h, .value = 1, .low = 0, .high = 2, .text = h}},
                    .better_low = h,
                    .better_high = h,
                    .note = h};
  HeatMap map{.title = h,
              .x = {h, {1, 2}},
              .y = {h, {1}},
              .panels = {{h, {0, 1}, {{h, 1, Series::Look::line, {{1, 1}, {2, 1}}}}}},
              .value_label = h,
              .note = h};
  HeatMap kinds = map;
  kinds.categories = {{"<", h, 1}, {"&", h, 2}};
  AttentionMap attention{.title = h, .note = h, .panels = {{h, 1, {1}}}};
  ScatterFigure plane{
      .title = h, .points_label = h, .note = h, .panels = {{h, {{1, 2}}, {{{2, 3}}}}}, .states = {h, h}};
  Table table{
      .caption = h, .columns = {{h, false, h}, {h, true}}, .rows = {{h, h}, {Cell(h, h), Cell(h, h)}}};
  Claim claim{.text = h,
              .source = h,
              .findings = {{h, Judgement::mixed, h}, {h, Judgement::not_asked, h}},
              .predictions = {{.text = h, .unit = h, .p = h, .corrected = h, .evidence = h, .detail = h},
                              {.text = h, .judged = false, .unit = h, .evidence = h, .detail = h}},
              .command = h,
              .id = h};
  FlowFigure flow{
      .title = h,
      .note = h,
      .first_label = h,
      .second_label = h,
      .rows = {{.label = h, .detail = h, .heading = true}, {.label = h, .detail = h, .first = 1}}};
  const std::vector<Figure> figures = {draw(chart), draw(plot),      draw(map),  draw(flow),
                                       draw(kinds), draw(attention), draw(plane)};
  for (const Figure& figure : figures) {
    REQUIRE(figure.panels.size() == 1);
    CHECK(xml_fault(standalone_svg(figure)) == "");
  }
  Page page{.title = h, .lead = h, .contents = true};
  page.sections.push_back(
      {h,
       {Content(figures, true), Content(figures, false), prose(h), remark(h), preformatted(h), commands(h),
        folded(h, ""), show(table), show(std::vector<Claim>{claim}), show(std::vector<BigNumber>{{h, h, h}}),
        options_table({{h, h}})}});
  const std::string html = page_html(page);
  check_page(html);
  CHECK(count(html, "<script>") == 1);
  CHECK(count(html, "</style><script>") == 0);
}

TEST_CASE("page: figures that share an id get one each", "[page]") {
  LineChart chart{.title = "Loss of a run", .series = {{"a", 1, Series::Look::line, {{1, 2}, {2, 3}}}}};
  const Figure figure = draw(chart);
  const Page page = page_with({figure, Content({figure, figure}, true)});
  const std::string html = page_html(page);
  check_page(html);
  for (const char* id : {"id=\"loss-of-a-run\"", "id=\"loss-of-a-run-2\"", "id=\"loss-of-a-run-3\""})
    CHECK(count(html, id) == 1);
  CHECK(slug("Loss of a run") == "loss-of-a-run");
  CHECK(slug("  ‖W‖² / d ") == "w-d");
  CHECK(slug("../..\x01") == "figure");
  CHECK(slug(std::string(500, 'x')).size() == 80);
}

TEST_CASE("page: a legend that is shared is told once", "[page]") {
  LineChart chart{.title = "A", .series = {{"first", 1, Series::Look::line, {{1, 2}, {2, 3}}}}};
  LineChart other = chart;
  other.title = "B";
  other.series.push_back({"second", 2, Series::Look::line, {{1, 2}, {2, 3}}});
  const std::string shared = page_html(page_with({Content({draw(chart), draw(other)}, true)}));
  CHECK(count(shared, "</svg>first</span>") == 1);
  CHECK(count(shared, "</svg>second</span>") == 1);
  const std::string apart = page_html(page_with({Content({draw(chart), draw(other)}, false)}));
  CHECK(count(apart, "</svg>first</span>") == 2);
  // A figure that leaves the page takes its legend with it.
  CHECK(contains(standalone_svg(draw(other)), ">second</text>"));
}

TEST_CASE("page: files of all figures", "[page]") {
  const Folder folder;
  LineChart chart{.title = "Loss", .series = {{"a", 1, Series::Look::line, {{1, 2}, {2, 3}}}}};
  const Page page = page_with({draw(chart), draw(chart), draw(LineChart{.title = "Nothing"})});
  export_figures(folder / "a/b", page);
  for (const char* name : {"loss", "loss-2"}) {
    CHECK(xml_fault(read_file(folder / "a/b/" + name + ".svg")) == "");
    CHECK(parse_csv(read_file(folder / "a/b/" + name + ".csv")).size() == 3);
  }
  CHECK_FALSE(fs::exists(folder / "a/b/nothing.svg"));
  // An id is the name of a file in that folder, whatever it says.
  Figure far = draw(chart);
  far.id = "../Far / away";
  export_figures(folder / "c", page_with({far}));
  CHECK(fs::exists(folder / "c/far-away.svg"));
  CHECK_FALSE(fs::exists(folder / "Far "));

  folder.write("file", "x");
  check_throws([&] { export_figures(folder / "file", page); }, {"file"});
  check_throws([&] { export_figures(folder / "file/under", page); }, {"file"});
  check_throws([&] { write_page(folder / "none/page.html", page); }, {"none"});
  write_page(folder / "page.html", page);
  CHECK(read_file(folder / "page.html") == page_html(page));
}

// ---- Tables

TEST_CASE("table: keys for sorting, alignment, the order at first, short rows", "[page]") {
  Table table{.caption = "Arms",
              .columns = {{"arm"}, {"loss", true, "nats"}, {"note"}},
              .ordered_by = 1,
              .order = Table::Order::descending};
  table.rows = {{Cell("a", "", 3), Cell("0.123", "0.123456789"), "x `y`"},
                {"b", Cell::number(1e-7 / 3)},
                {"c", Cell::number(nan_value)}};
  const std::string html = show(table);
  CHECK(unbalanced(html) == "");
  for (const char* expected :
       {"<table class=\"sortable\">", "<caption>Arms</caption>", "<th scope=\"col\">arm</th>",
        "<th scope=\"col\" class=\"number\" title=\"nats\" aria-sort=\"descending\">loss</th>",
        "data-key=\"0.123456789\">0.123</td>",
        "<td class=\"number\" data-key=\"3.3333333333333334e-08\">3.333e-08</td>",
        "<td class=\"number\">–</td>", "<td>x <code>y</code></td>", "class=\"dot c3\"",
        "<th scope=\"row\">b</th>", "<td></td></tr>"})
    CHECK(contains(html, expected));
  table.rows.push_back({"a", "b", "c", "d"});
  check_throws([&] { show(table); }, {"Arms", "4 cells", "3 at most"});
  CHECK(unbalanced(show(Table{})) == "");
  // What cannot be ordered is not offered to be.
  CHECK_FALSE(contains(show(Table{.columns = {{"a"}}, .rows = {{"1"}}}), "sortable"));
}

TEST_CASE("commands: comments are told apart, and the text is what is typed", "[page]") {
  const std::string html = commands("# first\nmake\necho '#' > \"a b\"");
  CHECK(contains(html,
                 "<pre><span class=\"comment\"># first</span>\nmake\necho '#' &gt; &quot;a b&quot;</pre>"));
  CHECK(unbalanced(html) == "");
  CHECK(unbalanced(commands("")) == "");
}

// ---- Figures: numbers

TEST_CASE("csv: what a figure is drawn from reads back to the bit", "[page]") {
  LineChart chart{.title = "t", .x_label = "step, of \"all\"", .y_label = "nats"};
  Series series{.label = "a, b"};
  std::vector<double> values;
  for (int i = 0; i < 300; ++i) {
    values.push_back(std::sin(i) * std::pow(10.0, i % 40 - 20));
    series.points.push_back({i / 3.0, values.back()});
    series.spread.push_back({i / 3.0, values.back() - 1 / 3.0, values.back() + 1e-9});
  }
  series.points.push_back({101, nan_value});
  series.spread.push_back({102, -1, 1});
  chart.series = {series};
  const auto rows = csv_in(show(draw(chart)));
  REQUIRE(rows.size() == 303);
  CHECK(rows[0] == std::vector<std::string>{"series", "step, of \"all\"", "nats", "low", "high"});
  for (std::size_t i = 0; i < 300; ++i) {
    REQUIRE(rows[i + 1].size() == 5);
    CHECK(rows[i + 1][0] == "a, b");
    CHECK(std::strtod(rows[i + 1][1].c_str(), nullptr) == double(i) / 3.0);
    CHECK(std::strtod(rows[i + 1][2].c_str(), nullptr) == values[i]);
    CHECK(std::strtod(rows[i + 1][3].c_str(), nullptr) == values[i] - 1 / 3.0);
  }
  CHECK(rows[301] == std::vector<std::string>{"a, b", "101", "", "", ""});
  CHECK(rows[302] == std::vector<std::string>{"a, b", "102", "", "-1", "1"});
  for (const float value : {0.1f, 1 / 3.0f, 1e-40f, 3e38f, -0.0f})
    CHECK(std::strtof(exact(value).c_str(), nullptr) == value);
  CHECK(exact(nan_value) == "");
}

// ---- Line charts

TEST_CASE("line chart: every mixture of scales, spreads and odd numbers", "[page]") {
  for (const LineChart::Scale scale : {LineChart::Scale::steps, LineChart::Scale::linear}) {
    for (const bool logarithmic : {false, true}) {
      for (const bool bars : {false, true}) {
        for (std::size_t size = 0; size <= odd_numbers.size(); ++size) {
          Series series{.label = "s", .look = bars ? Series::Look::points : Series::Look::dots, .bars = bars};
          for (std::size_t i = 0; i < size; ++i) {
            const double x = i % 2 ? double(i) : odd_numbers[i],
                         y = odd_numbers[(i * 7 + 3) % odd_numbers.size()];
            series.points.push_back({x, y});
            series.spread.push_back({x, y - 1, y + 1});
          }
          LineChart chart{.title = "odd", .series = {series}, .logarithmic = logarithmic, .x_scale = scale};
          check_figure(draw(chart));
        }
      }
    }
  }
}

TEST_CASE("line chart: steps so large that one more is no other number", "[page]") {
  for (const double x : {9e15, 1e16, 1e17, 1e300}) {
    const Series series{.label = "s", .points = {{x, 1}}};
    check_figure(draw(LineChart{.title = "large", .series = {series}}));
  }
  const Series series{.label = "s", .points = {{1e17, 1}, {1e17 + 16, 2}}};
  check_figure(draw(LineChart{.title = "large", .series = {series}}));
}

TEST_CASE("line chart: a band behind the line, bars where they are asked for or alone", "[page]") {
  Series series{
      .label = "s", .points = {{1, 2}, {2, 3}, {3, 4}}, .spread = {{1, 1, 3}, {2, 2, 4}, {3, 3, 5}}};
  const auto panel = [&] { return draw(LineChart{.title = "t", .series = {series}}).panels[0].svg; };
  CHECK(count(panel(), " band\"") == 1);
  CHECK(panel().find(" band\"") < panel().find("c0 line"));
  series.spread[1].low = nan_value;
  CHECK(count(panel(), " band\"") == 0);
  CHECK(count(panel(), "line dotted") == 1);  // two bars in one path
  series.spread[1].low = 2;
  series.bars = true;
  CHECK(count(panel(), " band\"") == 0);
  CHECK(count(panel(), "line dotted") == 1);
}

// ---- Interval plots

TEST_CASE("interval plot: rows, headings, reference, odd numbers", "[page]") {
  IntervalPlot plot{.title = "Effects", .x_label = "nats", .better_low = "better", .better_high = "worse"};
  plot.rows = {{.label = "group", .value = nan_value, .low = nan_value, .high = nan_value},
               {.label = "a", .value = -0.5, .low = -0.75, .high = -0.25, .colour = 2},
               {.label = "b", .value = 0.25, .low = nan_value, .high = nan_value, .text = "own words"}};
  const Figure figure = draw(plot);
  check_figure(figure);
  const std::string svg = figure.panels.at(0).svg;
  for (const char* expected : {"class=\"strong\">group<", ">-0.5 [-0.75, -0.25]<", ">own words<", "← better",
                               "worse →", "class=\"ink\""})
    CHECK(contains(svg, expected));
  CHECK(parse_csv(figure.csv).size() == 3);
  CHECK(parse_csv(figure.csv)[1] == std::vector<std::string>{"a", "-0.5", "-0.75", "-0.25"});
  for (const double a : odd_numbers) {
    for (const double b : odd_numbers) {
      check_figure(
          draw(IntervalPlot{.title = "t",
                            .rows = {{.label = std::string(100, 'x'), .value = a, .low = b, .high = a}},
                            .reference = b}));
    }
  }
  CHECK(draw(IntervalPlot{.title = "t"}).panels.empty());
  CHECK(contains(show(draw(IntervalPlot{.title = "t"})), "nothing to draw yet"));
}

TEST_CASE("interval plot: a row far from most does not make dots of them", "[page]") {
  IntervalPlot plot{.title = "Effects", .value_label = "nats"};
  for (int i = 0; i < 7; ++i) plot.rows.push_back({"near", 0.01 * i, 0.01 * i - 0.02, 0.01 * i + 0.02});
  plot.rows.push_back({"a heading", nan_value, nan_value, nan_value});
  const Figure without = draw(plot);
  CHECK(without.note == "");
  plot.rows.push_back({"far", 12.5, 12, 13});
  const Figure figure = draw(plot);
  check_figure(figure);
  CHECK(figure.note == "An arrow goes on beyond the axis.");
  const std::string& svg = figure.panels.at(0).svg;
  const std::string far = svg.substr(svg.rfind("<path"), 200);  // both ends are arrows to the right: no cap
  CHECK(count(far.substr(0, far.find("/>")), "v8") == 0);
  CHECK(contains(far, "far: 12.5 [12, 13]"));
  CHECK(count(figure.panels.at(0).svg, "<circle") == 7);
  CHECK(contains(figure.panels.at(0).svg, ">12.5 [12, 13]<"));
  CHECK(parse_csv(figure.csv).back() == std::vector<std::string>{"far", "12.5", "12", "13"});
  CHECK(parse_csv(figure.csv)[0][1] == "nats");
  for (int i = 0; i < 3; ++i) plot.rows.push_back({"far, too", -20, -21, -19});  // not the exception any more
  CHECK(draw(plot).note == "");
}

TEST_CASE("far_from: the exception, not the many, and nothing of few", "[page]") {
  CHECK(far_from({1, 2, 1, 100}) == 20);
  CHECK(std::isinf(far_from({1, 2, 1, 9})));
  CHECK(std::isinf(far_from({1, 2, 100})));
  CHECK(std::isinf(far_from({1, 1, 100, 100, 1})));
  CHECK(std::isinf(far_from({0, 0, 0, 0, 1})));
  CHECK(std::isinf(far_from({})));
  CHECK(std::isinf(far_from({1, 2, 1, 100}, 100)));
}

// ---- Heat maps

TEST_CASE("heat map: cells, gaps, the scale's ends, curves", "[page]") {
  HeatMap map{.title = "Map", .x = {"x", {1, 2, 3}}, .y = {"y", {10, 100}, true}, .value_label = "entropy"};
  map.panels = {{"left",
                 {0, 0.5, 1, 1, nan_value, 0},
                 {{"bound", 5, Series::Look::line, {{0, 10}, {2, 50}, {nan_value, 1}, {9, 1e300}}}}},
                {"right", {0, 0, 0, 0, 0, 0.25}}};
  const Figure figure = draw(map);
  check_figure(figure);
  REQUIRE(figure.panels.size() == 2);
  // One bar for both: from the least to the greatest of all.
  CHECK(figure.legend.size() == 3);
  CHECK(figure.legend[0].before == "0");
  CHECK(figure.legend[0].words == "1 · entropy");
  CHECK(figure.legend[1].words == "bound");
  CHECK(figure.legend[2].words == "no number");
  CHECK(count(figure.panels[0].svg, "class=\"q0 cell\"") == 1);
  CHECK(count(figure.panels[0].svg, "class=\"q31 cell\"") == 1);
  CHECK(count(figure.panels[0].svg, "class=\"hit\"") == 5);
  CHECK(contains(figure.panels[0].svg, "x 2, y 10: 0.5"));
  CHECK(contains(figure.panels[0].svg, "<title>bound</title>"));
  const auto rows = parse_csv(figure.csv);
  CHECK(rows.size() == 1 + 6 + 4 + 6);
  CHECK(rows[2] == std::vector<std::string>{"left", "", "2", "10", "0.5"});
  CHECK(rows[5] == std::vector<std::string>{"left", "", "2", "100", ""});
  CHECK(rows[7] == std::vector<std::string>{"left", "bound", "0", "10", ""});
  // Told ends: what lies beyond has the end's colour.
  map.low = 0.25;
  map.high = 0.5;
  CHECK(count(draw(map).panels[0].svg, "class=\"q31 cell\"") == 1);
  CHECK(draw(map).legend[0].before == "0.25 and less");
  CHECK(draw(map).legend[0].words == "0.5 and more · entropy");
}

TEST_CASE("heat map: three numbers on each axis at least", "[page]") {
  HeatMap map{.title = "Map", .width = 300, .height = 300};
  for (int i = -16; i <= 16; ++i) map.x.values.push_back(i / 2.0);
  map.y.values = {1};
  map.panels = {{"p", std::vector<double>(33, 0.5)}};
  const std::string svg = draw(map).panels.at(0).svg;
  for (const char* tick : {">-5<", ">0<", ">5<"}) CHECK(contains(svg, tick));
}

TEST_CASE("heat map: categories have letters", "[page]") {
  HeatMap map{.title = "Regimes", .x = {"x", {1, 2}}, .y = {"y", {1, 2}}};
  map.categories = {{"U", "uniform", 0}, {"L", "late", 1}};
  map.panels = {{"", {0, 1, -1, 2}}};  // the last two are no categories
  const Figure figure = draw(map);
  check_figure(figure);
  CHECK(figure.legend.size() == 3);
  CHECK(count(figure.panels[0].svg, ">U</text>") == 1);
  CHECK(count(figure.panels[0].svg, ">L</text>") == 1);
  CHECK(contains(figure.panels[0].svg, "x 2, y 1: late"));
  CHECK(parse_csv(figure.csv)[2][4] == "late");
  CHECK(parse_csv(figure.csv)[4][4] == "");
}

TEST_CASE("heat map: one cell, none, all alike, odd numbers, mistakes", "[page]") {
  for (const double value : odd_numbers) {
    for (const double at : {1.0, -3.0, 0.0}) {
      for (const bool logarithmic : {false, true}) {
        if (logarithmic && at <= 0) continue;
        HeatMap map{.title = "One",
                    .x = {"x", {at}, logarithmic},
                    .y = {"y", {at}, logarithmic},
                    .panels = {{"", {value}}}};
        check_figure(draw(map));
        CHECK(draw(map).panels.empty() == !(std::fabs(value) < 1e30));
      }
    }
  }
  HeatMap all{.title = "All", .panels = {{"", odd_numbers}}};
  for (std::size_t i = 0; i < odd_numbers.size(); ++i) all.x.values.push_back(double(i));
  all.y.values = {1e-20};
  check_figure(draw(all));
  check_figure(draw(HeatMap{.title = "None"}));
  check_figure(draw(HeatMap{.title = "None", .panels = {{"", {}}}}));
  check_throws(
      [] {
        draw(HeatMap{.title = "Map", .x = {"x", {1, 2}}, .y = {"y", {1}}, .panels = {{"left", {1}}}});
      },
      {"left of Map", "1 values", "2"});
  check_throws(
      [] {
        draw(HeatMap{.title = "Map", .x = {"tr W", {1, 1}}, .y = {"y", {1}}, .panels = {{"", {1, 2}}}});
      },
      {"tr W of Map", "increasing"});
  check_throws(
      [] {
        draw(HeatMap{.title = "Map", .x = {"x", {0, 1}, true}, .y = {"y", {1}}, .panels = {{"", {1, 2}}}});
      },
      {"positive"});
}

// ---- Attention

TEST_CASE("attention map: below the diagonal only, and eight heads stay small", "[page]") {
  const auto nan = std::nanf("");
  const Figure small = draw(AttentionMap{
      .title = "A",
      .panels = {
          {"head 0", 2, {1, 7, 0.125f, 0.875f}}, {"head 1", 2, {nan, nan, nan, 1}}, {"empty", 0, {}}}});
  check_figure(small);
  REQUIRE(small.panels.size() == 2);
  CHECK(parse_csv(small.csv)[2] == std::vector<std::string>{"head 0", "1", "0.125", "0.875"});
  CHECK(parse_csv(small.csv)[0] ==
        std::vector<std::string>{"panel", "query cell", "key cell 0", "key cell 1"});
  CHECK(parse_csv(small.csv)[1] ==
        std::vector<std::string>{"head 0", "0", "1", ""});  // nothing above the diagonal
  AttentionMap map{.title = "Eight"};
  const Random random{1, stream_of(Purpose::test, 0), 0};
  for (int head = 0; head < 8; ++head) {
    AttentionMap::Panel panel{"head", 64, std::vector<float>(64 * 64)};
    for (std::size_t i = 0; i < panel.values.size(); ++i)
      panel.values[i] = float(std::fabs(random.normal(std::uint64_t(head) * 4096 + i)) / 40);
    map.panels.push_back(panel);
  }
  const std::string html = page_html(page_with({draw(map)}));
  check_page(html);
  CHECK(html.size() < 1'000'000);
  check_throws(
      [] {
        draw(AttentionMap{.title = "A", .panels = {{"h", 2, {1}}}});
      },
      {"h of A", "1 values", "4"});
  CHECK(draw(AttentionMap{.title = "A", .panels = {{"h", 1, {nan}}}}).panels.empty());
}

// ---- The complex plane

TEST_CASE("complex plane: without a script the last state is seen, and alone it has no other", "[page]") {
  ScatterFigure plane{.title = "Eigenvalues", .points_label = "eigenvalue", .single_precision = true};
  plane.states = {"step 1", "step 2", "step 3"};
  plane.panels = {{"head 0", {{0.5, 0}}, {{{0.1f, 0}}, {{0.25, nan_value}}}},
                  {"head 1", {{1, 1}}, {{}, {{2, 0}}}}};
  const Figure figure = draw(plane);
  check_figure(figure);
  const std::string html = show(figure);
  CHECK(count(html, "<g class=\"state\" display=\"none\">") == 4);
  CHECK(count(html, "<g class=\"state\">") == 2);
  CHECK(html.find("mean 0.5 + 0 i") > html.find("<g class=\"state\">"));
  CHECK(contains(html, "data-states=\"step 1|step 2|step 3\""));
  CHECK(contains(html, "<output>step 3</output>"));
  CHECK(contains(html, "max=\"2\" value=\"2\""));
  CHECK(contains(html, "hidden>Play<"));
  const std::string alone = standalone_svg(figure);
  CHECK(contains(alone, "mean 0.5 + 0 i"));
  CHECK_FALSE(contains(alone, "mean 0.1"));
  CHECK(contains(figure.csv, "head 0,step 1,0.1,0\n"));
  plane.panels[0].earlier.pop_back();
  check_throws([&] { draw(plane); }, {"head 0 of Eigenvalues", "2 states", "3"});
  // One state: no slider.
  CHECK(contains(alone, ">Eigenvalues, step 3</text>"));
  CHECK_FALSE(contains(show(draw(ScatterFigure{.title = "E", .panels = {{"a", {{1, 1}}}}})), "player"));
  for (const double x : odd_numbers)
    for (const double y : odd_numbers)
      check_figure(draw(ScatterFigure{.title = "E", .panels = {{"a", {{x, y}, {0, 1}}}}}));
}

TEST_CASE("complex plane: a panel that reaches far has a scale of its own", "[page]") {
  ScatterFigure plane{.title = "E", .note = "Seed 1."};
  for (int i = 0; i < 4; ++i) plane.panels.push_back({"near", {{0.5, 0.5}, {-1, 0}}});
  const std::string alone = draw(plane).panels.at(0).states.at(0);
  plane.panels.push_back({"far", {{-3e4, 0}}});
  const Figure figure = draw(plane);
  check_figure(figure);
  REQUIRE(figure.panels.size() == 5);
  CHECK(figure.panels[0].states.at(0) == alone);
  CHECK(figure.note == "Seed 1. The panels have the same scale, but for: far.");
  CHECK(figure.legend.size() == 3);  // the others have a unit circle
}

}  // namespace
}  // namespace ef
