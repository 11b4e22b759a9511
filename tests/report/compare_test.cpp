// Several runs beside each other.
#include "train/report/compare.h"

#include "tests/pages.h"
#include "tests/programs.h"
#include "train/watch.h"

using namespace ef;

namespace {

// Folders of two runs, as train leaves them, with what it writes at two validations and three batches.
struct Runs : Folder {
  Runs() {
    put("a", R"({"name": "a", "runs": "here", "norm": "layer", "steps": 20, "kernel": "Haswell"})", 2.5, 0.9);
    put("b",
        R"({"name": "b", "runs": "there", "norm": "rms", "eps": 1e-5, "steps": 20, "kernel": "Haswell"})",
        2.25, 0.7);
  }
  void put(const std::string& name, const std::string& config, double loss, double entropy) const {
    fs::create_directories(path / name);
    write(name + "/config.json", config);
    std::string lines;
    for (const Index step : {10, 20}) {
      const double more = step == 10 ? 1 : 0;
      lines += Record{step, {{"split", "train"}}, -1, -1, {{"loss", loss + more}}}.line() + "\n";
      lines +=
          Record{step, {{"split", "valid"}}, -1, -1, {{"loss", loss + more}, {"floor", 0.25}}}.line() + "\n";
      for (const Index head : {0, 1})
        lines += Record{step,
                        {{"split", "valid"}, {"probe", "attn.entropy"}},
                        0,
                        head,
                        {{"windows", 2}, {"normalised", entropy + 0.01 * static_cast<double>(head)}}}
                     .line() +
                 "\n";
    }
    write(name + "/metrics.jsonl", lines);
  }
  std::vector<std::string> folders() const { return {*this / "a", *this / "b"}; }
};

const Figure* figure(const Page& page, const std::string& title) {
  for (const Section& section : page.sections)
    for (const Content& content : section.contents)
      for (const Figure& one : content.figures)
        if (one.title == title) return &one;
  return nullptr;
}

}  // namespace

TEST_CASE("runs are compared by options, curves, and where they ended", "[compare]") {
  const Runs runs;
  const std::vector<Difference> differing = differences(runs.folders());
  REQUIRE(differing.size() == 2);
  CHECK(differing[0].name == "norm");
  CHECK(differing[0].values == std::vector<std::string>{"layer", "rms"});
  CHECK(differing[1].name == "eps");
  CHECK(differing[1].values.front() == "–");

  const Comparison compared = compare_runs(runs.folders());
  CHECK(compared.names == std::vector<std::string>{"a", "b"});
  REQUIRE(compared.rows.size() == 4);  // loss, excess, entropy, windows
  CHECK(compared.rows[0].values == std::vector<double>{2.5, 2.25});
  CHECK(compared.rows[1].values == std::vector<double>{2.25, 2});
  CHECK(compared.rows[2].values[0] == Approx(0.905));

  const std::string text = comparison_text(runs.folders());
  const auto row = [](const std::string& name, const std::string& a, const std::string& b) {
    return name + std::string(38 - name.size(), ' ') + "  " + std::string(16 - a.size(), ' ') + a + "  " +
           std::string(16 - b.size(), ' ') + b + "\n";
  };
  CHECK(contains(text, row("norm", "layer", "rms")));
  CHECK(contains(text, row("validation loss, nats", "2.5", "2.25")));
  CHECK(!contains(text, "kernel"));
  CHECK(contains(comparison_text({runs / "a", runs / "a/"}), runs / "a"));  // told apart by folders

  const Page page = comparison_page(runs.folders());
  const Figure* loss = figure(page, "Validation loss");
  REQUIRE(loss);
  for (const char* part : {"a", "b", "2.5", "2.25", "3.25"}) CHECK(contains(loss->csv, part));
  CHECK(figure(page, "Excess"));
  CHECK(figure(page, "Training loss"));
  REQUIRE(figure(page, "Attention entropy"));
  CHECK(contains(figure(page, "Attention entropy")->csv, "0.705"));
  const std::string html = page_html(page);
  for (const char* part : {"What differs", "Final numbers", "rms"}) CHECK(contains(html, part));
}

TEST_CASE("compare, the program", "[compare][programs]") {
  const Runs runs;
  const Outcome outcome = run("compare " + (runs / "a") + " " + (runs / "b/"));
  INFO(outcome.text);
  CHECK(outcome.status == 0);
  CHECK(contains(outcome.text, "what differs"));
  CHECK(contains(outcome.text, runs / "compare.html"));
  CHECK(contains(read_file(runs / "compare.html"), "Runs compared"));
  const Outcome none = run("compare");
  CHECK(none.status == 2);
  CHECK(contains(none.text, "no run"));
  const Outcome missing = run("compare " + (runs / "a") + " " + (runs / "c"));
  CHECK(missing.status == 2);
  CHECK(contains(missing.text, "no run at " + (runs / "c")));
  fs::remove(runs.path / "b/metrics.jsonl");  // a run that has only begun
  CHECK(run("compare --page " + (runs / "page.html") + " " + (runs / "a") + " " + (runs / "b")).status == 0);
  CHECK(fs::exists(runs / "page.html"));
  runs.write("b/config.json", "[]");
  CHECK(run("compare " + (runs / "b")).status == 2);
}
