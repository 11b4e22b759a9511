// Alarms, records of metrics, and watching a run without touching it.
#include "train/watch.h"
#include "models/probes/alarms.h"
#include "tests/programs.h"
#include "train/experiment/summary.h"
#include "train/live.h"
#include "train/run.h"

using namespace ef;

TEST_CASE("an alarm rings once when crossed and once when left", "[alarms]") {
  Alarms alarms;
  const auto feed = [&](double value) { return alarms.feed("attn.entropy", "normalised", 1, value); };
  CHECK(feed(0.5).empty());
  const std::vector<AlarmEvent> on = feed(0.03);
  REQUIRE(on.size() == 1);
  CHECK(on[0].on);
  CHECK(on[0].layer == 1);
  CHECK(Alarms::text(on[0]) == "ALARM entropy collapse in layer 1: 0.03 is below 0.05");
  CHECK(feed(0.02).empty());
  CHECK(feed(0.07).empty());  // between the thresholds
  const std::vector<AlarmEvent> off = feed(0.2);
  REQUIRE(off.size() == 1);
  CHECK(!off[0].on);
  CHECK(Alarms::text(off[0]) == "over: entropy collapse in layer 1: 0.2 is above 0.1");
  CHECK(feed(0.04).size() == 1);
  // Layers and alarms are independent; NaN and other probes are passed over.
  CHECK(alarms.feed("attn.entropy", "normalised", 0, 0.01).size() == 1);
  CHECK(alarms.feed("resid.rank", "frobenius", 1, 0.01).size() == 1);
  CHECK(alarms.feed("attn.logits", "largest_centred", 1, 100).size() == 1);
  CHECK(alarms.feed("attn.logits", "largest_centred", 0, 86).empty());
  CHECK(alarms.feed("attn.logits", "largest", 1, 1000).empty());  // softmax does not see what logits share
  CHECK(alarms.feed("resid.rank", "frobenius", 0, std::nan("")).empty());
  CHECK(alarms.feed("resid.rank", "dong", 0, 0).empty());
}

TEST_CASE("a plateau is a loss that does not fall, away from the floor", "[alarms]") {
  const double unknown = std::nan("");
  Alarms alarms;
  for (double loss : {3.0, 2.9, 2.8, 2.7, 2.6, 2.5}) CHECK(alarms.feed_validation(loss, unknown).empty());
  int rang = 0;
  for (int i = 0; i < 10; ++i) {
    for (const AlarmEvent& e : alarms.feed_validation(2.5, unknown)) rang += e.on ? 1 : 100;
  }
  CHECK(rang == 1);
  const std::vector<AlarmEvent> left = alarms.feed_validation(2.3, unknown);
  REQUIRE(left.size() == 1);
  CHECK(!left[0].on);

  Alarms near;  // at the floor nothing is left to learn
  for (int i = 0; i < 10; ++i) CHECK(near.feed_validation(0.23, 0.2253).empty());
  Alarms above;
  int events = 0;
  for (int i = 0; i < 10; ++i) events += static_cast<int>(above.feed_validation(0.5, 0.2253).size());
  CHECK(events == 1);
}

TEST_CASE("a record comes back as it was written", "[metrics]") {
  Record record{50, {{"split", "valid"}, {"probe", "attn.entropy"}}, 0, 3, {}};
  record.values = {{"nats", 1.0 / 3}, {"normalised", std::nan("")}};
  const std::string line = record.line();
  CHECK(line ==
        "{\"step\":50,\"split\":\"valid\",\"probe\":\"attn.entropy\",\"layer\":0,\"head\":3,"
        "\"nats\":0.3333333333333333,\"normalised\":null}");
  const Record back = Record::parse(line);
  CHECK(back.line() == line);
  CHECK(back.value("nats") == 1.0 / 3);
  CHECK(std::isnan(back.value("normalised")));
  CHECK(std::isnan(back.value("no such")));
  CHECK(back.label("probe") == "attn.entropy");
  CHECK(back.label("no such").empty());
  check_throws([] { Record::parse("{\"loss\": 1}"); }, {"metrics"});
  check_throws([] { Record::parse("torn {"); }, {"metrics"});
}

namespace {

// The options of a tiny training of the run NAME.
std::string options_of(const Folder& folder, const std::string& name, const std::string& more) {
  if (!fs::exists(folder / "text.txt")) folder.write("text.txt", stories(20000));
  return "--data " + (folder / "text.txt") + tiny + "--layers 2 --eval-every 20 --steps 60 --runs " +
         folder.path.string() + " --name " + name + " " + more;
}

// Trains it; returns what it printed.
std::string train(const Folder& folder, const std::string& name, const std::string& more,
                  int expected_status = 0) {
  const Outcome outcome = run("train " + options_of(folder, name, more));
  INFO(outcome.text);
  CHECK(outcome.status == expected_status);
  return outcome.text;
}

// Lines of a run's metrics that have no probe and no alarm.
std::string losses(const Folder& folder, const std::string& name) {
  std::string text;
  std::ifstream file(folder / (name + "/metrics.jsonl"));
  for (std::string line; std::getline(file, line);) {
    if (!contains(line, "\"probe\"") && !contains(line, "\"alarm\"")) text += line + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("all probes on or off, the weights are the same bits", "[watch]") {
  const Folder folder;
  train(folder, "off", "--probe ''");
  train(folder, "on", "--probe '*' --every 7");
  CHECK(weights(folder / "on") == weights(folder / "off"));
  CHECK(losses(folder, "on") == losses(folder, "off"));
  const std::string metrics = read_file(folder / "on/metrics.jsonl");
  for (const char* part : {"\"step\":7,", "\"probe\":\"attn.entropy\"", "\"layer\":1,\"head\":1",
                           "update.ratio", "\"tensor\":\"blocks.0.attn.q.weight\"", "\"split\":\"valid\""}) {
    INFO(part);
    CHECK(contains(metrics, part));
  }
  CHECK(fs::exists(folder / "on/probes/qk.spectrum.eigenvalues.00000056.npy"));
  CHECK(fs::exists(folder / "on/probes/attn.profile.profile.00000007.npy"));
}

TEST_CASE("a loss with label smoothing is told as such, and is measured at no floor", "[watch]") {
  CHECK(loss_text(1.5, 0.25, false) == "loss 1.5000  floor 0.2500  excess 1.2500");
  CHECK(loss_text(0, std::nan(""), false) == "loss 0.0000  ppl 1.00");
  CHECK(loss_text(1.5, 0.25, true) == "smoothed loss 1.5000");

  const Folder folder;
  const std::string builtin = "--data builtin --context 256 --layers 1 --eval-every 30 --log-every 10 ";
  train(folder, "plain", builtin);
  const std::string told = train(folder, "smooth", builtin + "--label-smoothing 0.2");
  CHECK(contains(told, "  floor "));  // of validations
  std::vector<double> plain, smooth;
  for (const Record& r : read_metrics(folder / "plain/metrics.jsonl")) {
    if (r.label("split") != "train") continue;
    CHECK(std::isnan(r.value("smoothed_loss")));
    CHECK(std::isfinite(r.value("floor")));
    plain.push_back(r.value("loss"));
  }
  int validations = 0;
  for (const Record& r : read_metrics(folder / "smooth/metrics.jsonl")) {
    if (r.label("split") == "train") {
      CHECK(std::isnan(r.value("loss")));
      CHECK(std::isnan(r.value("floor")));
      smooth.push_back(r.value("smoothed_loss"));
    } else if (r.label("split") == "valid" && r.label("probe").empty()) {
      CHECK(std::isfinite(r.value("loss")));
      CHECK(std::isfinite(r.value("floor")));
      ++validations;
    }
  }
  CHECK(validations == 2);
  REQUIRE(smooth.size() == 6);
  CHECK(plain.size() == 6);
  for (const double loss : smooth) CHECK(loss > 0);

  const RunResult results[] = {collect_result(folder / "plain", ""), collect_result(folder / "smooth", "")};
  CHECK(results[0].curve("train.loss")->values == plain);
  CHECK(!results[0].curve("train.smoothed_loss"));
  CHECK(results[1].curve("train.smoothed_loss")->values == smooth);
  CHECK(!results[1].curve("train.loss"));
  CHECK(results[1].figures.contains("train.smoothed_loss"));
  CHECK(!results[1].figures.contains("train.loss"));
  const std::string title = "training loss with label smoothing";
  CHECK(contains(read_file(folder / "smooth/report.html"), title));
  CHECK(!contains(read_file(folder / "plain/report.html"), title));
}

TEST_CASE("LocAteR of strength 0 is no regulariser, to the bit", "[watch]") {
  const Folder folder;
  train(folder, "none", "--probe ''");
  train(folder, "zero", "--probe '' --regulariser locater --strength 0 --hold 0");
  train(folder, "some",
        "--probe '' --regulariser locater --strength 0.01 --hold 0.01 --mean target --target 1");
  std::string zero = losses(folder, "zero");
  const std::string field = ",\"regulariser\":0.0";
  for (std::size_t at; (at = zero.find(field)) != std::string::npos;) zero.erase(at, field.size());
  CHECK(zero == losses(folder, "none"));
  CHECK(losses(folder, "some") != losses(folder, "none"));
}

TEST_CASE("state survives a kill and a resume: probes, alarms, held means, power iterations", "[watch]") {
  const Folder folder;
  const std::vector<std::string> all = {
      "--probe attn.*,qk.* --every 5 --regulariser locater --strength 0.01 --hold 0.01 --mean running "
      "--steps 400",
      "--probe qk.* --every 5 --attention sigma-reparam --steps 400"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    INFO(all[i]);
    const std::string whole = "whole" + std::to_string(i), part = "part" + std::to_string(i);
    std::vector<std::string> arguments = words(options_of(folder, whole, all[i]));
    arguments.insert(arguments.begin(), program("train"));  // no shell that would expand the *
    interrupt_training(arguments, folder / (whole + "/metrics.jsonl"), 1'000'000, SIGKILL);
    arguments.back() = "400";
    std::replace(arguments.begin(), arguments.end(), whole, part);
    REQUIRE(WIFSIGNALED(interrupt_training(arguments, folder / (part + "/metrics.jsonl"), 700, SIGKILL)));
    const Outcome resumed = run("train --resume " + (folder / part));
    INFO(resumed.text);
    REQUIRE(resumed.status == 0);
    CHECK(metrics(folder / part) == metrics(folder / whole));
    CHECK(weights(folder / part) == weights(folder / whole));
  }
}

TEST_CASE("probes read few windows for curves and many at each validation, and say how many", "[watch]") {
  const Folder folder;
  const std::string text = train(folder, "a",
                                 "--probe attn.entropy,qk.spectrum --every 10 --eval-every 20 "
                                 "--steps 40 --probe-sequences 3 --probe-windows 11");
  CHECK(contains(text, "probes   3 of "));
  CHECK(contains(text, " windows of held-out text every 10 updates, 11 at each validation"));
  std::map<std::pair<Index, double>, int> lines;  // of attn.entropy, by step and windows
  for (const Record& record : read_metrics(folder / "a/metrics.jsonl")) {
    if (record.label("probe") == "qk.spectrum") CHECK(std::isnan(record.value("windows")));  // of weights
    if (record.label("probe") != "attn.entropy") continue;
    ++lines[{record.step, record.value("windows")}];
    CHECK(record.value("normalised.se") > 0);
  }
  CHECK(lines.size() == 4 + 2);
  for (const auto& [step, windows] :
       {std::pair<Index, double>{10, 3}, {20, 3}, {30, 3}, {40, 3}, {20, 11}, {40, 11}}) {
    INFO("step " << step << ", " << windows << " windows");
    CHECK(lines[{step, windows}] > 0);
  }
  const std::string page = read_file(folder / "a/report.html");
  CHECK(contains(page, "curves of 3 windows, what stands below them of 11, at the last validation"));
  CHECK(contains(comparison({folder / "a"}), "validation windows read by probes"));
  train(folder, "b", "--probe-windows none", 2);
}

TEST_CASE("train --against trains twice and compares", "[watch]") {
  const Folder folder;
  const std::string text =
      train(folder, "a", "--probe 'attn.entropy,qk.spectrum' --every 20 --against '--norm rms'");
  CHECK(fs::exists(folder / "a-against/config.json"));
  CHECK(contains(read_file(folder / "a-against/config.json"), "\"norm\": \"rms\""));
  for (const char* part :
       {"the same with --norm rms", "validation loss", "attention entropy", "trace of W"}) {
    INFO(part);
    CHECK(contains(text, part));
  }
  train(folder, "b", "--against '--nrom rms'", 2);
}

TEST_CASE("probes are listed, and mistyped ones are refused", "[watch]") {
  const Folder folder;
  const std::string text = train(folder, "a", "--list-probes");
  for (const char* name : {"attn.entropy", "attn.rho", "qk.spectrum", "resid.rank", "update.ratio"}) {
    CHECK(contains(text, name));
  }
  CHECK(contains(train(folder, "b", "--probe attn.entorpy", 2), "did you mean attn.entropy?"));
}
