// Whole sweeps, run as processes: killed and started again, with arms that fail, cannot run or wait.
#include <csignal>

#include "tests/plans.h"
#include "tests/programs.h"
#include "train/experiment/summary.h"
#include "train/watch.h"

using namespace ef;

namespace {

// A model of a fraction of a millisecond a step.
std::string small_options(const std::string& data) {
  return "--data " + data +
         " --context 16 --layers 1 --heads 2 --channels 16 --ffn 32 --batch 4 --dropout 0.1 --lr 0.01"
         " --log-every 1 --eval-every 50 --checkpoint-every 20 --probe attn.entropy,attn.profile,qk.spectrum"
         " --every 25";
}

std::string start_line(const Folder& folder, const std::string& where) {
  return (folder / "plan.json") + " --runs " + (folder / (where + "-runs")) + " --results " +
         (folder / (where + "-results")) + " --jobs 2";
}

// Of all result files of a sweep, without what the clock says.
std::map<std::string, json> figures(const Folder& folder, const std::string& where, const std::string& plan) {
  std::map<std::string, json> all;
  const std::string results = folder / (where + "-results/" + plan);
  if (!fs::exists(results)) return all;
  for (const auto& file : fs::directory_iterator(results)) {
    json whole = json::parse(read_file(file.path().string()));
    whole.erase("seconds");
    all[file.path().filename().string()] = whole;
  }
  return all;
}

}  // namespace

TEST_CASE("a sweep that is killed and started again ends as one that was not", "[experiment]") {
  const Folder folder;
  fs::create_directory(folder / "data");
  folder.write("data/train.txt", stories(20000));
  folder.write("data/valid.txt", stories(2000));
  folder.write("data/test.txt", stories(2500).substr(500));
  json plan = right_plan();
  plan["options"] = small_options(folder / "data");
  plan["updates"] = 400;
  plan["context_evaluation"] = plan["test"] = true;
  plan["measures"] = {"valid.perplexity", "attn.entropy.normalised", "context.perplexity",
                      "test.context.loss"};
  folder.write("plan.json", plan.dump());

  const Outcome whole = run("experiment " + start_line(folder, "whole"));
  INFO(whole.text);
  REQUIRE(whole.status == 0);
  CHECK(contains(whole.text, "test.context.loss"));
  const auto expected = figures(folder, "whole", "small");
  REQUIRE(expected.size() == 4);
  const RunResult result = load_results(load_plan(folder / "plan.json"), folder / "whole-results").at(0);
  CHECK(result.seed == 3);
  CHECK(result.steps == 400);
  CHECK(result.curve("train.loss")->values.size() == 100);
  CHECK(result.curve("valid.loss")->values.size() == 8);
  CHECK(result.curve("attn.entropy.normalised", 0)->values.size() == 16);
  // Figures are of the many windows that are read at a validation, curves of few.
  CHECK(result.windows == 8);
  double many = 0, few = 0, said = 0;
  for (const Record& record : read_metrics(folder / "whole-runs/small/plain-seed3/metrics.jsonl")) {
    if (record.label("probe") != "attn.entropy" || record.step != 400) continue;
    (record.value("windows") == 8 ? many : few) += record.value("normalised") / 2;  // heads
    ++said;
  }
  CHECK(said == 4);
  CHECK(many != few);
  CHECK(result.figure("attn.entropy.normalised") == Approx(many));
  CHECK(result.figure("attn.entropy.normalised.se") > 0);
  CHECK(result.curve("attn.entropy.normalised", 0)->values.back() == Approx(few).epsilon(1e-5));
  const std::vector<double>& entropy = result.curve("attn.entropy.normalised", 0)->values;
  CHECK(result.figure("attn.entropy.normalised.min") == Approx(std::ranges::min(entropy)).epsilon(1e-5));
  CHECK(result.figure("attn.entropy.normalised.max") == Approx(std::ranges::max(entropy)).epsilon(1e-5));
  CHECK(result.spectra.size() == 12);
  CHECK(result.spectra[0].eigenvalues[0].size() == 2);
  CHECK(result.spectra[0].eigenvalues[0][0].size() == 8);
  CHECK(result.arrays.at(0).shape == std::vector<Index>{1, 2, 16});
  CHECK(result.figure("context.loss") < result.figure("valid.loss") + 0.1);
  CHECK(result.cpu_seconds > 0);
  CHECK(!fs::exists(folder / "whole-runs/small/plain-seed3/checkpoint"));

  // Killed as soon as the metrics of a run have so many lines.
  const auto kill_at = [&](const std::string& where, const std::string& run_folder, int lines, int signal) {
    std::vector<std::string> arguments = words(start_line(folder, where));
    arguments.insert(arguments.begin(), program("experiment"));
    return interrupt_training(arguments, folder / (where + "-runs/small/" + run_folder + "/metrics.jsonl"),
                              lines, signal);
  };
  const std::string summary = run("experiment --summary " + start_line(folder, "whole")).text;
  CHECK(whole.text.ends_with(summary));
  SECTION("results of other code are refused by name, unless they are wanted") {
    const std::string path = folder / "whole-results/small/rms-seed1.json";
    json changed = json::parse(read_file(path));
    CHECK(changed["sources"] == sources());
    changed["sources"] = "0123456789ab";  // a layer was changed since, and nothing committed
    folder.write("whole-results/small/rms-seed1.json", changed.dump());
    const Outcome refused = run("experiment " + start_line(folder, "whole"));
    CHECK(refused.status == 2);
    for (const char* part :
         {"rms-seed1.json: made by other code", "(sources 0123456789ab)", sources(), "--keep-old"})
      CHECK(contains(refused.text, part));
    CHECK(run("experiment --keep-old " + start_line(folder, "whole")).status == 0);
    CHECK(run("experiment --summary " + start_line(folder, "whole")).status == 0);
    changed.erase("sources");  // of an older version, which wrote down none
    changed["version"] = "0123456";
    folder.write("whole-results/small/rms-seed1.json", changed.dump());
    CHECK(run("experiment " + start_line(folder, "whole")).status == 2);
    CHECK(run("experiment --keep-old " + start_line(folder, "whole")).status == 0);
  }
  SECTION("by SIGKILL, twice") {
    REQUIRE(WIFSIGNALED(kill_at("killed", "plain-seed3", 60, SIGKILL)));
    REQUIRE(WIFSIGNALED(kill_at("killed", "rms-seed1", 200, SIGKILL)));
    const Outcome again = run("experiment " + start_line(folder, "killed"));
    INFO(again.text);
    REQUIRE(again.status == 0);
    CHECK(figures(folder, "killed", "small") == expected);
    CHECK(run("experiment --summary " + start_line(folder, "killed")).text == summary);
  }
  SECTION("by Ctrl-C, which ends with checkpoints") {
    const int status = kill_at("stopped", "rms-seed3", 60, SIGINT);
    REQUIRE(WIFSIGNALED(status));  // as the shell or make that started it must see
    CHECK(WTERMSIG(status) == SIGINT);
    CHECK(fs::exists(folder / "stopped-runs/small/rms-seed3/checkpoint/last.safetensors"));
    REQUIRE(run("experiment " + start_line(folder, "stopped")).status == 0);
    CHECK(figures(folder, "stopped", "small") == expected);
  }
  SECTION("nothing is run twice, and changed options are refused") {
    const auto time = fs::last_write_time(folder / "whole-results/small/plain-seed3.json");
    CHECK(run("experiment " + start_line(folder, "whole")).text == summary);
    CHECK(fs::last_write_time(folder / "whole-results/small/plain-seed3.json") == time);
    plan["arms"]["rms"] = "--norm rms --lr 0.02";
    folder.write("plan.json", plan.dump());
    const Outcome refused = run("experiment " + start_line(folder, "whole"));
    CHECK(refused.status == 2);
    CHECK(contains(refused.text, "--lr: got 0.01, expected 0.02"));
  }
  SECTION("a result that was removed is made anew, not read off what the old run left") {
    const std::string left = folder / "whole-runs/small/rms-seed1/metrics.jsonl";
    write_atomically(left, "{\"step\":50,\"split\":\"valid\",\"loss\":0.1,\"perplexity\":1.1}\n");
    fs::remove(folder / "whole-results/small/rms-seed1.json");
    const Outcome again = run("experiment " + start_line(folder, "whole"));
    INFO(again.text);
    REQUIRE(again.status == 0);
    CHECK(figures(folder, "whole", "small") == expected);
  }
}

TEST_CASE("a plan that waits is not run, and says why", "[experiment]") {
  const Folder folder;
  json plan = right_plan();
  plan["options"] = small_options(folder.write("text", stories(20000)));
  plan["waits"] = "its arms are settled later";
  plan["test"] = true;  // there is none, which matters when it is to be run
  folder.write("plan.json", plan.dump());
  const Outcome waiting = run("experiment " + start_line(folder, "waiting"));
  INFO(waiting.text);
  CHECK(waiting.status == 0);
  CHECK(contains(waiting.text, "left out: 4 runs of small, as its arms are settled later"));
  CHECK(contains(waiting.text, "Not run yet: its arms are settled later."));
  CHECK(contains(waiting.text, "claim norm (ours): RMS norm is better.\n    training: not run yet"));
  CHECK(figures(folder, "waiting", "small").empty());
}

TEST_CASE("--possible leaves out what this machine cannot run, and names it", "[experiment]") {
  const Folder folder;
  json plan = right_plan();
  plan["options"] = small_options(folder.write("text", stories(20000)));
  plan["seeds"] = {1};
  plan["arms"] = {{"plain", ""},
                  {"on tiles", "--precision bf16"},
                  {"no data", "--data nowhere/text"},
                  {"no text", "--data " + (folder / "empty")}};
  fs::create_directory(folder / "empty");
  plan.erase("claims");
  plan.erase("predictions");
  folder.write("plan.json", plan.dump());
  setenv("EIGENFORMER_NO_TILES", "1", 1);
  const Outcome strict = run("experiment " + start_line(folder, "strict"));
  const Outcome possible = run("experiment --possible " + start_line(folder, "possible"));
  const Outcome again = run("experiment --possible " + start_line(folder, "possible"));
  unsetenv("EIGENFORMER_NO_TILES");
  CHECK(strict.status == 2);
  INFO(possible.text);
  CHECK(possible.status == 0);
  CHECK(contains(possible.text,
                 "left out: 1 run of small, as --precision bf16 needs AMX or AVX512-BF16: EIGENFORMER_NO"));
  CHECK(contains(possible.text, "left out: 1 run of small, as there is no nowhere/text"));
  CHECK(contains(possible.text, "left out: 1 run of small, as there is no " + (folder / "empty/train.txt")));
  CHECK(contains(possible.text, "valid.loss"));  // the summary
  const auto made = figures(folder, "possible", "small");
  REQUIRE(made.size() == 1);
  CHECK(made.contains("plain-seed1.json"));
  CHECK(contains(again.text, "left out: 1 run of small"));  // for as long as they are missing
  CHECK_FALSE(contains(again.text, "at once"));             // nothing was run
}

TEST_CASE("mistakes are told before the runs", "[experiment]") {
  const Folder folder;
  json plan = right_plan();
  plan["options"] = small_options(folder.write("text", stories(20000)));
  plan["measures"] = json::array({"valid.loss", "attn.entropy.normalised"});
  folder.write("plan.json", plan.dump());
  const std::string line = "experiment --theory " + (folder / "theory.json") + " " + start_line(folder, "a");
  const Outcome without = run(line);
  CHECK(without.status == 2);
  CHECK(contains(without.text, "theory.json"));
  folder.write("theory.json", R"({"theory": [], "softmax": []})");
  CHECK(contains(run(line).text, "results of localize"));
  CHECK(!fs::exists(folder / "a-runs"));

  plan["measures"][1] = "attn.entropy.normalized";
  folder.write("plan.json", plan.dump());
  const Outcome misspelt = run("experiment " + start_line(folder, "b") + " --jobs 1");
  INFO(misspelt.text);
  CHECK(misspelt.status == 2);
  CHECK(contains(misspelt.text, "no measure attn.entropy.normalized"));
  CHECK(contains(misspelt.text, "did you mean attn.entropy.normalised?"));
  CHECK(!fs::exists(folder / "b-runs"));
}

TEST_CASE("an arm that fails is a result, a mistake ends the sweep", "[experiment]") {
  const Folder folder;
  const std::string data = folder.write("text.txt", stories(3000));
  json plan = right_plan();
  plan["options"] = small_options(data);
  plan["updates"] = 60;
  plan["seeds"] = json::array({1});
  plan["arms"]["rms"] = "--regulariser locater --scale trace --strength 10 --mean initial --hold 0 --lr 0.05";
  folder.write("plan.json", plan.dump());
  const Outcome outcome = run("experiment " + start_line(folder, "a"));
  INFO(outcome.text);
  REQUIRE(outcome.status == 0);
  CHECK(contains(outcome.text, "rms, seed 1: FAILED after"));
  CHECK(contains(outcome.text, "runs away"));
  const std::vector<RunResult> results = load_results(load_plan(folder / "plan.json"), folder / "a-results");
  REQUIRE(results.size() == 2);
  CHECK(results[1].failed());
  CHECK(results[1].steps < 60);
  CHECK(results[1].failure.starts_with("step " + std::to_string(results[1].steps + 1) + ":"));
  CHECK(run("experiment " + start_line(folder, "a")).status == 0);  // it is not run again

  plan["arms"]["rms"] =
      "--reg-layers 5 --regulariser l2-qk --strength 1";  // known only when the model is built
  folder.write("plan.json", plan.dump());
  const Outcome mistake = run("experiment " + start_line(folder, "b"));
  CHECK(mistake.status == 2);
  CHECK(contains(mistake.text, "rms, seed 1: regulariser: layers: got '5'"));
  CHECK(figures(folder, "b", "small").size() <= 1);

  plan["arms"]["rms"] = "";
  plan["test"] = true;
  folder.write("plan.json", plan.dump());
  const Outcome no_test = run("experiment " + start_line(folder, "c"));
  CHECK(no_test.status == 2);
  CHECK(contains(no_test.text, "nothing to test on"));
  CHECK(run("experiment").status == 2);
}
