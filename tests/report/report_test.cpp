// The page of a run: it tells the numbers, needs nothing from elsewhere, and is whole whatever the run holds.
#include "train/report/report.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/pages.h"
#include "train/files/files.h"
#include "train/files/npy.h"
#include "train/plot/figure.h"

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

// From the heading "Attention" to the end of its section; "" if there is none.
std::string attention_of(const std::string& html) {
  const std::size_t begin = html.find("<h2 id=\"attention\">Attention</h2>");
  return begin == std::string::npos ? "" : html.substr(begin, html.find("</section>", begin) - begin);
}

// Eigenvalues of so many layers, heads and columns, in the order 0, 1, 2, ... of hundredths.
void put_eigenvalues(const Folder& run, const std::string& step, const std::vector<Index>& shape) {
  Index size = 1;
  for (const Index dim : shape) size *= dim;
  std::vector<float> values;
  for (Index i = 0; i < size; ++i) values.push_back(0.01f * float(i));
  fs::create_directories(run.path + "/probes");
  write_npy(run.path + "/probes/qk.spectrum.eigenvalues." + step + ".npy", shape, values);
}

TEST_CASE("report: attention is drawn by layer, a mean over heads, where probes were read") {
  const Folder run;
  run.put("config.json", "{}");
  const std::string losses = R"({"step":50,"split":"valid","loss":1.5,"floor":0.5})"
                             "\n"
                             R"({"step":100,"split":"valid","loss":1.25,"floor":0.5})"
                             "\n";
  run.put("metrics.jsonl", losses);
  put_eigenvalues(run, "00000100", {1, 1, 2, 2});
  std::string html = run.report();
  check_page(html);
  CHECK(attention_of(html) == "");  // eigenvalues alone are no reading
  CHECK_FALSE(contains(html, "alarm rang"));
  fs::remove_all(run.path + "/probes");

  std::string lines;
  for (const int step : {50, 100}) {
    const std::string start = "{\"step\":" + std::to_string(step) + ",\"split\":\"valid\",\"probe\":";
    for (const int layer : {0, 1}) {
      for (const int head : {0, 1}) {
        const std::string where = ",\"layer\":" + std::to_string(layer) + ",\"head\":" + std::to_string(head);
        const std::string value = std::to_string(0.25 * (layer + 1) + 0.25 * head);
        lines += start + "\"attn.entropy\"" + where + ",\"nats\":2,\"normalised\":" + value + "}\n";
        lines += start + "\"attn.entropy\"" + where + ",\"zhai_bound\":0}\n";
        lines += start + "\"qk.spectrum\"" + where + ",\"trace\":" + (head == 0 ? "-3" : "null") + "}\n";
      }
    }
  }
  run.put("metrics.jsonl", losses + lines);
  html = run.report();
  check_page(html);
  // The lines of probes are no validations.
  CHECK(count(html, "<title>validation: ") == 2);
  CHECK_FALSE(contains(html, "could not be read"));
  std::string section = attention_of(html);
  for (const char* expected : {"Attention entropy", "Trace of W", "</svg>layer 0</span>",
                               "</svg>layer 1</span>", "layer 0: 0.375 at step 50",
                               "layer 1: 0.625 at step 100", "layer 0: -3 at step 50", "No alarm rang."})
    CHECK(contains(section, expected));
  // Two charts of two layers and two steps, and folded away nats; zhai_bound, which nobody declared, is
  // shown.
  const std::size_t folds = section.find("<details>");
  CHECK(count(section.substr(0, folds), " at step ") == 3 * 4);
  CHECK(contains(section.substr(0, folds), "attn.entropy.zhai_bound"));
  CHECK(count(section.substr(folds), " at step ") == 4);
  CHECK(contains(section.substr(folds), "<summary>attn.entropy: attention entropy in nats</summary>"));
  for (const char* absent : {"Scale of W", "Rank residual", "Eigenvalues", "<table", "nothing to draw"})
    CHECK_FALSE(contains(section, absent));

  // Where no head has a number there is a gap; layers that are none are passed over.
  run.put("metrics.jsonl", R"({"step":1,"probe":"resid.rank","layer":0,"frobenius":null})"
                           "\n"
                           R"({"step":2,"probe":"resid.rank","layer":11,"frobenius":0.5})"
                           "\n"
                           R"({"step":2,"probe":"resid.rank","layer":-1e300,"frobenius":0.5})"
                           "\n"
                           R"({"step":2,"probe":"resid.rank","layer":"0","frobenius":0.5})"
                           "\n"
                           R"({"step":2,"probe":"qk.spectrum","layer":0,"frobenius_square":"1"})"
                           "\n");
  html = run.report();
  check_page(html);
  section = attention_of(html);
  CHECK(contains(section, "layer 11: 0.5 at step 2"));
  CHECK_FALSE(contains(section, "layer 0"));
  CHECK_FALSE(contains(section, "Scale of W"));
  run.put("metrics.jsonl", "{\"step\":1,\"probe\":\"grad.norm\",\"tensor\":\"wte\",\"norm\":2}\n");
  html = run.report();
  check_page(html);
  CHECK(contains(attention_of(html), "No alarm rang."));
  CHECK(contains(attention_of(html), "wte: 2 at step 1"));  // of a tensor
  run.put("metrics.jsonl", "{\"step\":1,\"probe\":\"grad.norm\",\"tensor\":\"wte\",\"norm\":null}\n");
  html = run.report();
  check_page(html);
  CHECK(contains(attention_of(html), "No alarm rang."));
  CHECK_FALSE(contains(attention_of(html), "<figure"));
}

TEST_CASE("report: the eigenvalues of the last reading, a panel a head") {
  const Folder run;
  run.put("config.json", "{}");
  run.put("metrics.jsonl", R"({"step":2000,"probe":"qk.spectrum","layer":0,"head":0,"trace":1})");
  put_eigenvalues(run, "00000900", {1, 1, 7, 2});
  put_eigenvalues(run, "00002000", {2, 3, 5, 2});
  run.put("probes/qk.spectrum.eigenvalues.x.npy", "");
  run.put("probes/qk.spectrum.eigenvalues..npy", "");
  run.put("probes/qk.spectrum.eigenvalues.npy", "");
  std::string html = run.report();
  check_page(html);
  std::string section = attention_of(html);
  const std::string spot = "h0M";  // between two points
  CHECK(count(section, "<title>mean ") == 6);
  CHECK(count(section, spot) == 6 * 4);
  for (const char* expected : {">layer 0 head 0<", ">layer 1 head 2<", "At step 2,000", "mean 0.04 + 0.05 i"})
    CHECK(contains(section, expected));
  CHECK_FALSE(contains(section, "left out"));
  CHECK_FALSE(contains(section, "unit circle"));  // all are within 0.6

  put_eigenvalues(run, "00002001", {6, 3, 20, 2});
  section = attention_of(run.report());
  CHECK(count(section, "<title>mean ") == 16);
  CHECK(contains(section, "2 more heads are left out."));
  CHECK(contains(section, "unit circle"));

  // Numbers that are not finite are left out, and heads that have no others.
  const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
  const std::string last = run.path + "/probes/qk.spectrum.eigenvalues.00003000.npy";
  write_npy(last, {1, 2, 3, 2}, std::vector<float>{nan, nan, nan, 1, infinity, 0, 1, -2, nan, nan, 3, 2});
  html = run.report();
  check_page(html);
  section = attention_of(html);
  CHECK(count(section, "<title>mean ") == 1);
  CHECK(contains(section, ">layer 0 head 1<"));
  CHECK(contains(section, "mean 2 + 0 i"));
  // All in one place.
  for (const float value : {0.0f, 1e-30f, 1e25f}) {
    write_npy(last, {1, 1, 1, 2}, std::vector<float>{value, 0});
    html = run.report();
    check_page(html);
    CHECK(count(html, "<title>mean ") == 1);
    CHECK(html.size() < 40'000);
  }

  // A file that is damaged, or holds something else, is passed over.
  const std::string whole = read_file(last);
  for (const std::string& bytes :
       {whole.substr(0, whole.size() - 1), whole.substr(0, 20), std::string(), "x" + whole}) {
    run.put("probes/qk.spectrum.eigenvalues.00003000.npy", bytes);
    html = run.report();
    check_page(html);
    CHECK(contains(attention_of(html), "Trace of W"));
    CHECK_FALSE(contains(html, "Eigenvalues"));
  }
  for (const std::vector<Index>& shape : std::vector<std::vector<Index>>{
           {4, 2}, {1, 1, 2, 3}, {0, 0, 4, 2}, {1, 1, 0, 2}, {}, {1, 1, 1, 1, 2}}) {
    put_eigenvalues(run, "00003000", shape);
    CHECK_FALSE(contains(run.report(), "Eigenvalues"));
  }
  fs::remove(last);
  fs::create_directory(last);
  CHECK_FALSE(contains(run.report(), "Eigenvalues"));
}

std::string figure_of(const std::string& html, const std::string& id) {
  const std::size_t begin = html.find("<figure class=\"chart\" id=\"" + id + '"');
  return begin == std::string::npos ? "" : html.substr(begin, html.find("</figure>", begin) - begin);
}

TEST_CASE("report: eigenvalues by step, the last seen without a script, at most 40 of them") {
  const Folder run;
  run.put("config.json", "{}");
  run.put("metrics.jsonl", R"({"step":100,"probe":"qk.spectrum","layer":0,"head":0,"trace":1})");
  put_eigenvalues(run, "00000001", {1, 1, 9, 2});  // another shape: passed over
  put_eigenvalues(run, "00000050", {1, 1, 2, 2});
  put_eigenvalues(run, "00000100", {1, 1, 2, 2});
  std::string html = run.report();
  check_page(html);
  std::string figure = figure_of(html, "qk-spectrum-eigenvalues");
  CHECK(contains(figure, "data-states=\"step 50|step 100\""));
  CHECK(contains(figure, "<output>step 100</output>"));
  CHECK(count(figure, "<g class=\"state\">") == 1);
  CHECK(count(figure, "<g class=\"state\" display=\"none\">") == 1);
  run.put("probes/qk.spectrum.eigenvalues.00000050.npy", "damaged");
  CHECK_FALSE(contains(figure_of(run.report(), "qk-spectrum-eigenvalues"), "player"));

  for (const char* step : {"00000001", "00000050"})
    fs::remove(run.path + "/probes/qk.spectrum.eigenvalues." + step + ".npy");
  for (int step = 200; step < 300; ++step) put_eigenvalues(run, std::to_string(step), {1, 1, 2, 2});
  html = run.report();
  check_page(html);
  figure = figure_of(html, "qk-spectrum-eigenvalues");
  CHECK(count(figure, "<g class=\"state") == 40);
  CHECK(contains(figure, "data-states=\"step 100|"));
  CHECK(contains(figure, "|step 299\""));
}

TEST_CASE("report: profile, rho and attention maps of a run that probed them") {
  const Folder run;
  run.put("config.json", "{}");
  run.put("metrics.jsonl", R"({"step":100,"probe":"attn.profile","layer":0,"head":0,"last_quarter":1})");
  fs::create_directories(run.path + "/probes");
  std::string html = run.report();
  check_page(html);
  for (const char* id : {"attn-profile-profile", "attn-rho-rho", "attn-map-map"})
    CHECK(figure_of(html, id) == "");

  const float nan = std::nanf("");
  for (const char* step : {"00000050", "00000100"}) {
    for (const char* array : {"attn.profile.profile.", "attn.rho.rho."}) {
      std::vector<float> values(3 * 4, 0.25f);
      for (std::size_t i = 8; i < 12; ++i) values[i] = nan;  // a head without numbers
      values[5] = nan;
      write_npy(run.path + "/probes/" + array + step + ".npy", {1, 3, 4}, values);
    }
    write_npy(run.path + "/probes/attn.map.map." + step + ".npy", {1, 2, 2, 2},
              std::vector<float>{1, 0, 0.25f, 0.75f, 1, 0, *step == '0' ? 0.5f : 0.125f, 0.5f});
  }
  html = run.report();
  check_page(html);
  for (const char* id : {"attn-profile-profile", "attn-rho-rho"}) {
    const std::string figure = figure_of(html, id);
    CHECK(contains(figure, ">layer 0 head 0<"));
    CHECK(contains(figure, ">layer 0 head 1<"));
    CHECK_FALSE(contains(figure, "head 2"));
    CHECK(contains(figure, "step 50, position 0.125: 0.25"));
    CHECK(contains(figure, "no number"));
  }
  const std::string maps = figure_of(html, "attn-map-map");
  CHECK(contains(maps, "One held-out sequence at step 100."));
  CHECK(contains(maps, "layer 0 head 0,1,0.25,0.75%0A"));

  // What does not fit is passed over.
  write_npy(run.path + "/probes/attn.map.map.00000200.npy", {1, 1, 1, 2}, std::vector<float>{1, 0});
  CHECK(figure_of(run.report(), "attn-map-map") == "");
  run.put("probes/attn.map.map.00000200.npy", "damaged");
  CHECK(figure_of(run.report(), "attn-map-map") == "");
  write_npy(run.path + "/probes/attn.rho.rho.00000200.npy", {0, 3, 4}, std::vector<float>{});
  html = run.report();
  check_page(html);
  CHECK(figure_of(html, "attn-rho-rho") == "");
  CHECK(figure_of(html, "attn-profile-profile") != "");
}

TEST_CASE("report: an array that no probe here declares is drawn as its shape suggests") {
  const Folder run;
  run.put("config.json", "{}");
  run.put("metrics.jsonl", R"({"step":100,"probe":"their.probe","layer":0,"head":0,"x":1})");
  fs::create_directories(run.path + "/probes");
  const std::vector<float> values(8, 0.5f);
  write_npy(run.path + "/probes/their.probe.lines.00000100.npy", {1, 1, 8}, values);
  write_npy(run.path + "/probes/their.probe.plane.00000100.npy", {1, 1, 4, 2}, values);
  write_npy(run.path + "/probes/their.probe.square.00000100.npy", {1, 2, 2, 2}, values);
  write_npy(run.path + "/probes/their.probe.unknown.00000100.npy", {2, 4}, values);
  run.put("probes/their.probe.7.npz", "of another kind");
  run.put("probes/.00000100.npy", "without a name");
  const std::string html = run.report();
  check_page(html);
  CHECK(contains(figure_of(html, "their-probe-lines"), "their.probe.lines"));
  CHECK(contains(figure_of(html, "their-probe-plane"), "complex plane"));
  CHECK(figure_of(html, "their-probe-square") != "");
  CHECK(figure_of(html, "their-probe-unknown") == "");
}

TEST_CASE("report: its figures can be had as files") {
  const Folder run;
  run.put("config.json", "{}");
  run.put("metrics.jsonl", R"({"step":1,"split":"train","loss":2.5})"
                           "\n"
                           R"({"step":2,"split":"train","loss":2})"
                           "\n");
  export_figures(run.path + "/figures", run_page(run.path));
  CHECK(xml_fault(read_file(run.path + "/figures/loss.svg")) == "");
  CHECK(read_file(run.path + "/figures/loss.csv") ==
        "series,step,nats per token,low,high\ntraining batch,1,2.5,,\ntraining batch,2,2,,\n");
}

TEST_CASE("report: alarms are told in a table") {
  const Folder run;
  run.put("config.json", "{}");
  const std::string plateau =
      R"({"step":1500,"alarm":"loss plateau","state":"on","value":0.004,"threshold":0.005})"
      "\n";
  const std::string probe = "{\"step\":50,\"probe\":\"resid.rank\",\"layer\":0,\"frobenius\":0.5}\n";
  run.put("metrics.jsonl", plateau);
  std::string html = run.report();
  check_page(html);
  CHECK(attention_of(html) == "");  // no probes were read: the alarm stands alone
  CHECK(contains(html,
                 ">1,500</td><td>loss plateau</td><td class=\"number\">–</td><td>on</td><td class=\"number\" "
                 "data-key=\"0.004\">0.004<"));

  run.put("metrics.jsonl",
          probe + plateau +
              R"({"step":1600,"alarm":"a < b","state":"off","layer":3,"value":null,"threshold":0.1})"
              "\n");
  html = run.report();
  check_page(html);
  const std::string section = attention_of(html);
  CHECK(contains(section, "<td class=\"number\" data-key=\"1500\">1,500</td><td>loss plateau</td>"));
  CHECK(contains(
      section,
      ">1,600</td><td>a &lt; b</td><td class=\"number\">3</td><td>off</td><td class=\"number\">–</td>"));
  CHECK_FALSE(contains(section, "No alarm rang"));

  std::string many = probe;
  for (int i = 0; i < 23; ++i) many += plateau;
  run.put("metrics.jsonl", many);
  html = run.report();
  check_page(html);
  CHECK(count(html, "<td>loss plateau</td>") == 20);
  CHECK(contains(html, "The last 20; the 3 before them are in metrics.jsonl."));
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
  const std::vector<std::vector<ChartPoint>> ranges = {
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
  for (const std::vector<ChartPoint>& points : ranges) {
    for (const bool logarithmic : {false, true}) {
      for (const bool from_zero : {false, !logarithmic}) {
        LineChart chart;
        chart.title = "t < 1";
        chart.series = {{"a & b", 1, Series::Look::line, points}, {"dots", 2, Series::Look::dots, points}};
        chart.logarithmic = logarithmic;
        chart.from_zero = from_zero;
        const std::string html = show(draw(chart));
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
  const std::string html = show(draw(chart));
  CHECK(html.size() < 100'000);
  CHECK(contains(html, "CSV, thinned"));
  CHECK(contains(html, " 26.0L"));  // the top of the chart, at 10
}

TEST_CASE("svg: smoothing keeps the ends, and what is constant") {
  const double nan = std::nan("");
  const std::vector<ChartPoint> out = smooth({{0, 8}, {1, 2}, {2, nan}, {3, 5}, {4, 2}, {5, 5}, {6, 1}}, 2);
  REQUIRE(out.size() == 6);
  CHECK(out.front().y == 8);
  CHECK(out.back().y == 1);
  CHECK(out[1].y == Approx(5));         // of 8, 2, 5
  CHECK(out[2].y == Approx(22 / 5.0));  // of 8, 2, 5, 2, 5
  CHECK(smooth({}, 3).empty());
}

TEST_CASE("what strangers wrote is text: in spreadsheets, in Markdown, on terminals", "[report]") {
  // A spreadsheet computes what begins like a formula.
  CHECK(csv_field("=HYPERLINK(\"http://x\")") == "\"'=HYPERLINK(\"\"http://x\"\")\"");
  for (const char* formula : {"+1+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "=1", "--norm rms"})
    CHECK(csv_field(formula) == std::string("'") + formula);
  CHECK(csv_field("\t=1") == "'\t=1");
  CHECK(csv_field("\r=1") == "\"'\r=1\"");
  for (const char* plain : {"-1.5", "+3", "-1e-7", "-", "a=b", "lr 1e-3", "", "-inf"})
    CHECK(csv_field(plain) == plain);

  CHECK(escape_markdown("<img src=x>&amp;") == "&lt;img src=x&gt;&amp;amp;");
  CHECK(escape_markdown("[a](javascript:b) ![c](d) [e][f] [g]: h") ==
        "[a\\](javascript:b) ![c\\](d) [e\\][f] [g\\]: h");
  CHECK(escape_markdown("[-1.2, 0.5] of [x]") == "[-1.2, 0.5] of [x]");
  CHECK(escape_markdown("a|b\n# c `d` *e* ~f~ \\") == "a\\|b # c \\`d\\` \\*e\\* \\~f\\~ \\\\");
  CHECK(escape_markdown("http://x.org") == "http&#58;//x.org");
  CHECK(escape_markdown("qk_norm 1e-3 (95 %)") == "qk_norm 1e-3 (95 %)");
  CHECK(escape_markdown("_a_") == "\\_a\\_");

  CHECK(printable("a\n\tb \xC3\xA9 \xF0\x9F\x98\x80") == "a\n\tb \xC3\xA9 \xF0\x9F\x98\x80");
  CHECK(printable("\x1b[2J\x07\r\x7f") == "\\x1B[2J\\x07\\x0D\\x7F");
  CHECK(printable("\xC2\x9B") == "\\xC2\\x9B");  // a control character of two bytes
  CHECK(printable("\xE2\x80\xAE"
                  "a") ==
        "\\xE2\\x80\\xAE"
        "a");  // what follows would read from right to left
  CHECK(printable("\xff\xC3") == "\\xFF\\xC3");
  // The same byte by byte, as a model of bytes writes.
  const std::string text = "\x1b \xC3\xA9\xC3 \xF0\x9F\x98\x80\xE2\x82";
  PrintableStream stream;
  std::string shown;
  for (const char c : text) shown += stream.add(std::string_view(&c, 1));
  CHECK(shown + stream.end() == printable(text));
  CHECK(
      is_utf8("Gr\xC3\xB6\xC3\x9F"
              "e"));
  CHECK(!is_utf8("a\xff"));
}

TEST_CASE("svg: numbers and text as they stand in a page") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(-1234567) == "-1,234,567");
  CHECK(fixed(3.14159, 2) == "3.14");
  CHECK(escape_html("<a href=\"x\">&\t\n\x02") == "&lt;a href=&quot;x&quot;&gt;&amp;\t\n\xEF\xBF\xBD");
  CHECK(escape_html("é\xC3<\xE2\x82>") == "é\xEF\xBF\xBD&lt;\xEF\xBF\xBD\xEF\xBF\xBD&gt;");
}

}  // namespace
}  // namespace ef
