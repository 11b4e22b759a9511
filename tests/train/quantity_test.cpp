// A quantity is declared once, beside the probe that reads it, and found wherever numbers are told. The probe
// registered here is named nowhere else: neither in the programs nor in their tables.
#include "train/quantities.h"

#include <fcntl.h>

#include "data/batches.h"
#include "models/probes/alarms.h"
#include "tests/pages.h"
#include "tests/planted.h"
#include "train/experiment/figures.h"
#include "train/files/files.h"
#include "train/live.h"
#include "train/plot/page.h"
#include "train/report/report.h"
#include "train/run.h"
#include "train/trainer.h"
#include "train/watch.h"

using namespace ef;

namespace {

// Of layer l and head h, after n readings: reach n + 10 l + h, aside half of that. And of the whole model.
double readings = 0;

void read_ells(const TextObservation& o, Reading& r) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    for (Index head = 0; head < o.heads(); ++head) {
      const double reach = readings + 10 * static_cast<double>(layer) + static_cast<double>(head);
      r.add(layer, head, "reach", o.first ? reach : reach - 1);
      r.add(layer, head, "aside", reach / 2);
      r.add(layer, head, "stray", 1);
    }
  }
  r.add_array("yards", {o.layers(), 1, 4}, std::vector<float>(4 * o.layers(), static_cast<float>(readings)));
}

const RegisteredProbe ells(
    "ells.of_a_test", "[layer, head]", "numbers known beforehand", read_ells,
    {{.key = "reach",
      .title = "Reach of a test",
      .unit = "ells",
      .meaning = "0: none <at all>",
      .row = "reach of a test, in ells",
      .live = "ells",
      .order = 25,
      .better = Quantity::Better::lower,
      .joined = Quantity::Joined::largest,
      .high = 40,
      .alarm = {{.name = "out of reach", .on = 12, .off = 5, .why = "an arm ends there"}}},
     {.key = "aside", .title = "What is aside", .unit = "spans", .detail = true}},
    {{.key = "yards", .title = "Yards of a test", .unit = "yards", .axis = "place", .note = "All alike."}});

// A probe as they were before there were quantities; it reads the whole model, and its logits.
void read_bare(const TextObservation& o, Reading& r) {
  r.add(-1, -1, "vocabulary", static_cast<double>(o.logits().shape.last()));
}
const RegisteredProbe bare("bare.of_a_test", "[]", "the vocabulary, by the logits", read_bare);

// What is printed meanwhile goes nowhere: it is in log.txt.
struct Quiet {
  int before;
  Quiet() : before(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDOUT_FILENO);
    close(nowhere);
  }
  ~Quiet() {
    std::fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
  }
};

// A run of three readings in a folder, as a training leaves it.
struct Watched {
  Folder folder;
  RunFolder run;
  Config config;
  std::string note;

  explicit Watched(const std::string& probes) : run{folder / "run"} {
    config.data = folder.write("text.txt", stories(6000));
    config.model.context = 16;
    config.model.layers = config.model.heads = 2;
    config.model.channels = 8;
    config.model.ffn = 16;
    config.probe = probes;
    config.every = 1;
    config.probe_windows = "3";
    make_folder(run.path);
    const Corpus corpus = load_data(config);
    config.model.vocab = corpus.tokenizer->vocab_size();
    write_atomically(run.file("config.json"), to_json(config));
    const ValidationWindows windows(corpus.valid, corpus.first_input, config.model.context);
    Workers workers(2);
    Trainer trainer(config, workers);
    const Quiet quiet;
    Live live(run.file("log.txt"), 0);
    LineLog metrics(run.file("metrics.jsonl"));
    Watch watch(config, run, windows, metrics, live);
    for (Index done = 1; done <= 3; ++done) {
      readings = static_cast<double>(done);
      Batch batch;
      windows.fill_spread(batch, 2);
      trainer.keep_values();
      trainer.step(batch, done - 1);
      watch.read(trainer, done);
    }
    watch.validated(trainer, 3, {10, std::nan(""), 5});
    note = watch.note();
    write_report(run.path);
  }
  std::string file(const std::string& name) const { return read_file(run.file(name)); }
};

// From one <details> of that heading to its end; "" if there is none.
std::string fold_of(const std::string& html, const std::string& heading) {
  const std::size_t begin = html.find("<details><summary>" + heading);
  return begin == std::string::npos ? "" : html.substr(begin, html.find("</details>", begin) - begin);
}

std::string before_folds(const std::string& html) { return html.substr(0, html.find("<details>")); }

}  // namespace

TEST_CASE("a declared quantity is listed, written, told, drawn and compared", "[quantity]") {
  const std::string list = list_of_probes();
  for (const char* part :
       {"ells.of_a_test", "numbers known beforehand", "Reach of a test (ells: 0: none <at all>)",
        "; alarm: out of reach above 12\n", "What is aside (spans)\n", "bare.of_a_test"}) {
    INFO(part);
    CHECK(contains(list, part));
  }

  const Watched watched("ells.*,bare.*,attn.entropy,resid.rank");
  // The largest of heads and of windows in each layer; a mean, and its error, of what is none.
  double reach = 0;
  for (const Record& record : read_metrics(watched.run.file("metrics.jsonl"))) {
    if (record.label("probe") != "ells.of_a_test" || record.layer != 1 || record.head != 1) continue;
    reach = record.value("reach");
    CHECK(reach == static_cast<double>(record.step) + 11);
    CHECK(std::isnan(record.value("reach.se")));
    CHECK(record.value("aside") == reach / 2);
    CHECK(record.value("aside.se") == 0);
  }
  CHECK(reach == 14);
  CHECK(watched.note.find("  ells 14  rank ") != std::string::npos);  // by order, after entropy
  CHECK(watched.note.find("  entropy ") == 0);
  CHECK(!contains(watched.note, "spans"));
  const std::string figure = watched.file("report.html");
  for (const char* part : {"id=\"ells-of-a-test-yards\"", "Yards of a test", ">place<", "All alike."}) {
    INFO(part);
    CHECK(contains(figure, part));
  }

  const std::string log = watched.file("log.txt");
  CHECK(contains(log, "step 2  ALARM out of reach in layer 1: 13 is above 12"));
  CHECK(count(log, "out of reach") == 1);
  CHECK(count(log, "note: ells.of_a_test: adds stray, which it does not declare") == 1);
  CHECK(!contains(log, "bare.of_a_test"));  // which declares nothing

  const std::string table = comparison({watched.run.path});
  CHECK(contains(table, "\nreach of a test, in ells                              14\n"));
  CHECK(contains(table, "\nells.of_a_test.stray                                   1\n"));
  CHECK(contains(table, "\nbare.of_a_test.vocabulary "));
  CHECK(!contains(table, "aside"));
  CHECK(table.find("attention entropy") < table.find("reach of a test"));
  CHECK(table.find("reach of a test") < table.find("rank residual"));
  CHECK(table.find("rank residual") < table.find("ells.of_a_test.stray"));

  const std::string html = watched.file("report.html");
  check_page(html);
  const std::string first = before_folds(html);
  for (const char* part : {"Reach of a test", "ells: 0: none &lt;at all&gt;", "layer 1: 14 at step 3",
                           "bare.of_a_test.vocabulary", "whole model: ", "ells.of_a_test.stray"}) {
    INFO(part);
    CHECK(contains(first, part));
  }
  CHECK(contains(html, "The threshold of out of reach: an arm ends there."));
  const std::size_t chart = first.find("id=\"reach-of-a-test\"");
  REQUIRE(chart != std::string::npos);
  // The axis ends where it was asked to.
  CHECK(contains(first.substr(chart, first.find("</figure>", chart) - chart), ">40</text>"));
  CHECK(!contains(first, "What is aside"));
  const std::string fold = fold_of(html, "ells.of_a_test: what is aside");
  CHECK(contains(fold, "What is aside"));
  CHECK(contains(fold, "spans"));
  CHECK(contains(fold, "layer 1: 6.75 at step 3"));  // the mean of two heads
}

TEST_CASE("a declared quantity may be measured by a plan, by its keys alone", "[quantity]") {
  const Folder folder;
  json written = right_plan();
  written["options"] = "--preset gpt2 --layers 1 --probe ells.*,bare.*";
  const std::vector<std::string> measures = {"valid.loss", "ells.of_a_test.reach", "ells.of_a_test.aside.min",
                                             "bare.of_a_test.anything"};
  written["measures"] = measures;
  const Plan plan = load(folder, written);
  PlanResults p{&plan, {}, {}};
  for (const Arm& arm : plan.arms) {
    p.results.push_back(planted(plan, arm.name, 1, {{"valid.loss", 1}, {"ells.of_a_test.reach", 3}}));
    p.results.back().curves = {{"valid.loss", -1, {10}, {1}}, {"ells.of_a_test.reach", 0, {10}, {3}}};
  }
  p.summary = summarise(plan, p.results);
  Page page;
  page.sections.push_back({"Plan", figures_of(p)});
  const std::string html = page_html(page);
  for (const char* part :
       {"Reach of a test", "ells: 0: none", "Lowest what is aside while training", "difference in ells"}) {
    INFO(part);
    CHECK(contains(html, part));
  }
  // What is better is declared, too.
  const std::size_t forest = html.find("id=\"small-difference-ells-of-a-test-reach\"");
  REQUIRE(forest != std::string::npos);
  CHECK(contains(html.substr(forest, html.find("</figure>", forest) - forest), "← better<"));

  for (const auto& [measure, hint] : std::vector<std::pair<std::string, std::string>>{
           {"ells.of_a_test.raech", "ells.of_a_test.reach?"},
           {"ells.of_a_test.asid.min", "ells.of_a_test.aside.min?"},
           {"ells.of_a_test.x", "ells.of_a_test reads reach, aside"}}) {
    written["measures"] = {measure};
    check_throws([&] { load(folder, written); }, {"no measure " + measure, hint});
  }
}

TEST_CASE("a result of a largest quantity is the largest over layers", "[quantity]") {
  const Watched watched("ells.*");
  const RunResult result = collect_result(watched.run.path, "");
  CHECK(result.figure("ells.of_a_test.reach") == 14);
  CHECK(result.figure("ells.of_a_test.reach.min") == 12);
  CHECK(result.figure("ells.of_a_test.aside") == 4.25);  // of 3, 4, 13 and 14, halved
}

TEST_CASE("what this project's probes read, they declare", "[quantity]") {
  const Watched watched("*");
  std::map<std::string, std::set<std::string>> read;
  for (const Record& record : read_metrics(watched.run.file("metrics.jsonl")))
    for (const auto& [key, value] : record.values)
      if (!record.label("probe").empty() && is_reading(key)) read[record.label("probe")].insert(key);
  std::set<std::string> titles;
  const std::string html = watched.file("report.html");
  for (const Probe& probe : probes_matching("attn.*,qk.*,resid.*,grad.*,update.*")) {
    INFO(probe.name);
    std::set<std::string> declared;
    for (const Quantity& quantity : probe.quantities) {
      INFO(quantity.key);
      declared.insert(quantity.key);
      CHECK(titles.insert(quantity.title).second);  // or two charts could not be told apart
      // Softmax has nothing to tell by offset: rotary_test.cpp reads that.
      if (probe.name != "qk.offsets") CHECK(contains(html, escape_html(quantity.title)));
    }
    CHECK((probe.name == "qk.offsets" ? read[probe.name].empty() : declared == read[probe.name]));
  }
  CHECK(titles.size() >= 25);
  // Of tensors: a chart for each of the blocks' and one for those outside.
  const std::string fold = fold_of(html, "grad.norm: gradient norm");
  CHECK(contains(fold, "Gradient norm of attn.q.weight"));
  CHECK(contains(fold, "Gradient norm, outside of blocks"));
  CHECK(contains(fold, "</svg>tokens.weight</span>"));
}

TEST_CASE("names of quantities", "[quantity]") {
  CHECK(named("valid.loss").title == "Validation loss");
  CHECK(named("attn.entropy.normalised").unit == "entropy");
  CHECK(named("attn.entropy.normalised.min").title == "Lowest attention entropy while training");
  CHECK(named("qk.spectrum.trace.se").title == "Standard error of trace of W");
  CHECK(named("attn.entropy.nothing").title == "attn.entropy.nothing");
  CHECK(named("no.such").title == "no.such");
  CHECK(quantity_of("attn.logits", "largest").joined == Quantity::Joined::largest);
  CHECK(quantity_of("attn.logits", "deviation").joined == Quantity::Joined::mean);
  CHECK(quantity_of("no.such", "largest").title == "no.such.largest");
  CHECK(Alarms::why("entropy collapse") == quantity_of("attn.entropy", "normalised").alarm->why);
  CHECK(Alarms::why("no such").empty());
  CHECK(row_text(named("test.loss")) == "Test loss, nats per token");
  for (const std::string& measure : loop_measures()) {
    INFO(measure);
    CHECK((named(measure).better == Quantity::Better::lower) == (measure != "valid.step"));
  }
}
