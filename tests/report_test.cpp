// The page of a run: it tells the numbers, needs nothing from elsewhere, and is whole whatever the run holds.
#include "train/report.h"

#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/helpers.h"
#include "train/files.h"
#include "train/svg.h"

namespace ef {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path = (fs::temp_directory_path() / "ef-report-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  void put(const std::string& name, const std::string& text) const {
    std::ofstream(path + "/" + name, std::ios::binary) << text;
  }
  std::string report() const {
    write_report(path);
    return read_file(path + "/report.html");
  }
};

// "" if every tag that opens is closed in its turn, else what is wrong. Enough of HTML for the pages made
// here: attributes hold no '>', and <style> holds no tags.
std::string unbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    if (end == std::string::npos) return "a tag does not end";
    if (html[at + 1] == '!' || html[end - 1] == '/') continue;
    const bool closes = html[at + 1] == '/';
    std::string name;
    for (std::size_t i = at + 1 + closes; std::isalnum(static_cast<unsigned char>(html[i])) != 0; ++i)
      name += html[i];
    if (name.empty()) return "a < is not escaped";
    if (name == "meta" || name == "link") continue;
    if (!closes) {
      open.push_back(name);
    } else {
      if (open.empty() || open.back() != name)
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

// What every page must be.
void check_page(const std::string& html) {
  CHECK(unbalanced(html) == "");
  for (const char* foreign : {"http:", "https:", "//cdn", "src=", "@import", "url(", "<script"})
    CHECK_FALSE(contains(html, foreign));
  for (const char* broken : {"\"nan", ">nan", "Lnan", " nan", "\"inf", ">inf", " inf", "-inf", "-nan"})
    CHECK_FALSE(contains(html, broken));
}

TEST_CASE("report: the numbers of a run are told") {
  const Folder run;
  run.put("config.json",
          R"({"name": "fox & bear", "preset": "story", "steps": 300, "parameters": 1234567, "lr": 0.001})");
  run.put("metrics.jsonl",
          R"({"step":100,"split":"train","loss":2.5,"floor":0.4,"learning_rate":1e-3,"gradient_norm":0.7})"
          "\n"
          R"({"step":100,"split":"valid","loss":1.25,"floor":0.375,"perplexity":3.49})"
          "\n"
          R"({"step":200,"split":"train","loss":1.125,"learning_rate":5e-4,"gradient_norm":0.5,"more":[1]})"
          "\n"
          R"({"step":200,"split":"valid","loss":1.5,"floor":0.375,"perplexity":4.48})"
          "\n");
  run.put("sample.txt", "\n<b>The fox</b> said: \"&c.\"\x01\n");
  const std::string html = run.report();
  check_page(html);
  for (const char* expected :
       {"<title>fox &amp; bear", "1.5000", "best 1.2500 at step 100", "1.1250", "0.3750", "4.48", ">200<",
        "of 300", "1.23 M", "1,234,567", "nats per token", "validation: 1.25 at step 100", "<td>0.001</td>",
        "Excess", "Learning rate", "×10⁻³", "Gradient norm", "--name 'fox &amp; bear-again'"})
    CHECK(contains(html, expected));
  CHECK(contains(html, "<pre>\n\n&lt;b&gt;The fox&lt;/b&gt; said: &quot;&amp;c.&quot;\xEF\xBF\xBD\n</pre>"));
  CHECK_FALSE(fs::exists(run.path + "/report.html.tmp"));
}

TEST_CASE("report: a run that has measured nothing, or one thing") {
  const Folder run;
  run.put("config.json", "{}");
  std::string html = run.report();
  check_page(html);
  CHECK(contains(html, "Nothing has been measured yet"));
  CHECK(contains(html, "<h1>" + fs::path(run.path).filename().string() + "</h1>"));

  run.put("metrics.jsonl", "");
  check_page(run.report());
  run.put("metrics.jsonl", R"({"step":0,"split":"valid","loss":4.5})");
  html = run.report();
  check_page(html);
  CHECK(contains(html, "validation: 4.5 at step 0"));
  CHECK_FALSE(contains(html, "Floor"));
  CHECK(contains(html, "nothing to draw yet"));
  run.put("metrics.jsonl", R"({"step":7,"split":"train","loss":4.5,"floor":0.25})");
  html = run.report();
  check_page(html);
  CHECK(contains(html, "4.5000"));
}

TEST_CASE("report: what is not finite, torn or unknown is left out") {
  const Folder run;
  run.put("config.json", R"({"name": 3, "nothing": null, "list": ["<"], "steps": "many"})");
  run.put("metrics.jsonl",
          "{\"step\":1,\"split\":\"train\",\"loss\":null,\"gradient_norm\":1e300,\"learning_rate\":0}\n"
          "{\"step\":2,\"split\":\"train\",\"loss\":3,\"gradient_norm\":-1,\"learning_rate\":0}\n"
          "{\"step\":3,\"split\":\"train\",\"loss\":NaN}\n"
          "{\"step\":4,\"split\":\"train\",\"loss\":\"2\"}\n"
          "{\"step\":1e999,\"split\":\"train\",\"loss\":2}\n"
          "{\"step\":null,\"split\":\"train\",\"loss\":2}\n"
          "{\"step\":5,\"split\":\"test\",\"loss\":2}\n"
          "{\"step\":6,\"split\":{},\"loss\":2}\n"
          "{\"step\":6}\n\n[]\n"
          "{\"step\":7,\"split\":\"valid\",\"loss\":null,\"floor\":null,\"perplexity\":null}\n"
          "{\"step\":8,\"split\":\"valid\",\"loss\":2.75,\"floor\":0.5,\"perplexity\":1e308}\n"
          "{\"step\":9,\"spl");
  const std::string html = run.report();
  check_page(html);
  CHECK(contains(html, "2.7500"));
  CHECK(contains(html, "2.2500"));
  CHECK(contains(html, "lines of metrics.jsonl could not be read"));
  CHECK(contains(html, "[&quot;&lt;&quot;]"));
}

TEST_CASE("report: a folder that is no run") {
  const Folder run;
  check_throws([&] { write_report(run.path); }, {"cannot read", "config.json"});
  run.put("config.json", "[1, 2]");
  check_throws([&] { write_report(run.path); }, {"config.json", "expected a run's configuration"});
  CHECK_FALSE(fs::exists(run.path + "/report.html"));
}

TEST_CASE("svg: axes of every range are drawn, with ticks in their place") {
  const double huge = 1e29, tiny = 1e-29, infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<Point>> ranges = {
      {},
      {{0, 0}},
      {{5, -3}},
      {{0, 1}, {1, 1 + 1e-15}},
      {{0, tiny}, {1, huge}},
      {{0, -huge}, {1e12, huge}},
      {{1000, 0.5}, {1001, 0.6}},
      {{0, infinity}, {1, 2}, {2, -infinity}, {3, std::nan("")}, {4, 5}},
      {{1, 0.001}, {2, 0.002}},
      {{0, 1e-7}, {10, 3e-7}}};
  for (const std::vector<Point>& points : ranges) {
    for (const bool logarithmic : {false, true}) {
      for (const bool from_zero : {false, !logarithmic}) {
        LineChart chart;
        chart.title = "t < 1";
        chart.series = {{"a & b", 1, Series::Look::line, points}, {"dots", 2, Series::Look::dots, points}};
        chart.logarithmic = logarithmic;
        chart.from_zero = from_zero;
        const std::string html = draw(chart);
        check_page(html);
        CHECK(html.size() < 8000);
        CHECK(contains(html, "nothing to draw yet") ==
              (points.empty() || (logarithmic && points[0].y <= 0 && points.size() == 1)));
      }
    }
  }
}

TEST_CASE("svg: a long line is thinned, and keeps its peaks") {
  LineChart chart;
  Series line{"long", 1, Series::Look::line, {}};
  for (int i = 0; i < 200'000; ++i) line.points.push_back({double(i), i == 77'777 ? 10.0 : i % 7 * 0.1});
  chart.series = {line};
  const std::string html = draw(chart);
  CHECK(html.size() < 40'000);
  CHECK(contains(html, " 26.0L"));  // the top of the chart, at 10
}

TEST_CASE("svg: smoothing keeps the ends, and what is constant") {
  const double nan = std::nan("");
  const std::vector<Point> out = smooth({{0, 8}, {1, 2}, {2, nan}, {3, 5}, {4, 2}, {5, 5}, {6, 1}}, 2);
  REQUIRE(out.size() == 6);
  CHECK(out.front().y == 8);
  CHECK(out.back().y == 1);
  CHECK(out[1].y == Approx(5));         // of 8, 2, 5
  CHECK(out[2].y == Approx(22 / 5.0));  // of 8, 2, 5, 2, 5
  CHECK(smooth({}, 3).empty());
}

TEST_CASE("svg: numbers and text as they stand in a page") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(fixed(3.14159, 2) == "3.14");
  CHECK(escape_html("<a href=\"x\">&\t\n\x02") == "&lt;a href=&quot;x&quot;&gt;&amp;\t\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace ef
