// Plans that are refused, and planted results with known verdicts.
#include "train/experiment/summary.h"

#include <filesystem>

#include "tests/planted.h"
#include "train/experiment/page.h"

using namespace ef;

namespace {

void check_refused(const json& plan, const std::vector<std::string>& fragments) {
  const Folder folder;
  check_throws([&] { load(folder, plan); }, fragments);
}

}  // namespace

TEST_CASE("a plan is read as it is written", "[experiment]") {
  const Folder folder;
  json plan = right_plan();
  plan["grid"] = json::parse(R"([{
    "name": "locater {scale} {c}",
    "options": "--regulariser locater --scale {scale} --strength 1e-3 --mean target --target {c}",
    "scale": ["frobenius", "variance"], "c": [8, 16.5]}])");
  const Plan read = load(folder, plan);
  CHECK(read.seeds == std::vector<std::uint64_t>{3, 1});
  REQUIRE(read.arms.size() == 6);
  CHECK(read.arms[1].config.model.norm == "rms");
  CHECK(read.arms[1].config.model.layers == 1);
  CHECK(read.arms[1].config.steps == 40);
  CHECK(read.arms[1].config.workers == 1);
  CHECK(read.arms[1].config.sample_tokens == 0);
  const char* names[] = {"locater frobenius 8", "locater frobenius 16.5", "locater variance 8",
                         "locater variance 16.5"};
  for (std::size_t i = 0; i < 4; ++i) CHECK(read.arms[i + 2].name == names[i]);
  CHECK(*read.arms[3].config.model.options.find("target") == "16.5");
  CHECK(*read.arms[4].config.model.options.find("scale") == "variance");
  CHECK(read.predictions[0].against == "plain");
  CHECK(result_name("locater frobenius 16.5", 3) == "locater-frobenius-16.5-seed3");
}

TEST_CASE("further options count more than the plan's and less than those of arms", "[experiment]") {
  const Folder folder;
  json written = right_plan();
  written["arms"]["rms"] = "--norm rms --layers 2";
  const std::string path = folder.write("plan.json", written.dump());
  const Plan plan = load_plan(path), other = load_plan(path, "--layers 3");
  CHECK(other.arms[0].config.model.layers == 3);
  CHECK(other.arms[1].config.model.layers == 2);
  CHECK(summarise(other, {}).predictions[0].command.find("--with '--layers 3'") != std::string::npos);
  // Results of the plan as it stands are not taken for its own.
  fs::create_directories(folder / "small");
  write_atomically(folder / "small/plain-seed3.json", to_json(planted(plan, "plain", 3, {})));
  CHECK(load_results(plan, folder.path.string()).size() == 1);
  check_throws([&] { load_results(other, folder.path.string()); }, {"--layers: got 1, expected 3"});
  check_throws([&] { load_plan(path, "--layer 3"); }, {"plan.json", "layer"});
}

TEST_CASE("bad plans are refused before anything runs", "[experiment]") {
  const auto refused = [](const char* pointer, const json& value, const std::vector<std::string>& fragments) {
    json plan = right_plan();
    plan[json::json_pointer(pointer)] = value;
    INFO(pointer << " " << value.dump());
    check_refused(plan, fragments);
  };
  refused("/updatse", 3, {"no key 'updatse'", "did you mean updates?"});
  refused("/updates", 0, {"updates", "got 0", "at least 1"});
  refused("/updates", "many", {"updates", "many"});
  refused("/seeds", json::array(), {"seeds", "empty"});
  refused("/seeds", {1, 2, 1}, {"seeds", "twice 1"});
  refused("/seeds", json::array({-1}), {"seeds", "-1"});
  refused("/name", "../up", {"name", "../up"});
  refused("/baseline", "plian", {"baseline", "no arm 'plian'", "did you mean plain?"});
  refused("/arms/rms", "--norn rms", {"arm 'rms'", "no option --norn", "did you mean --norm?"});
  refused("/arms/rms", "--norm rsm", {"arm 'rms'", "'rsm'", "did you mean rms?"});
  refused("/arms/rms", "--lr=-1", {"arm 'rms'", "--lr"});
  refused("/arms/rms", "--seed 2", {"--seed", "seeds"});
  refused("/arms/rms", "--workers 2", {"--workers", "one worker"});
  refused("/arms/rms", "--preset story", {"arm 'rms'", "--preset", "options of the plan"});
  refused("/arms/rms", "stray", {"arm 'rms'", "stray"});
  refused("/arms/rms", "--help", {"arm 'rms'", "--help"});
  refused("/arms/rms", 3, {"arm 'rms'", "3"});
  refused("/options", "--steps 3", {"options", "--steps", "updates"});
  refused("/options", "--preset papper", {"papper", "did you mean paper?"});
  refused("/options", "--probe atn.entropy", {"atn.entropy"});
  refused("/measures", json::array({"valid.los"}), {"no measure valid.los", "did you mean valid.loss?"});
  refused("/measures", json::array({"resid.rank.dong"}),
          {"resid.rank.dong", "arm 'plain' reads", "attn.entropy"});
  refused("/measures", json::array({"test.loss"}), {"test.loss", "\"test\": true"});
  refused("/measures", json::array({"context.perplexity"}), {"context_evaluation"});
  refused("/measures", json::array(), {"measures", "empty"});
  refused("/test", 1, {"test", "true or false"});
  refused("/claims/norm/source", "someone", {"source", "paper or ours"});
  refused("/claims/norm/where", "someone", {"no key 'where'"});
  refused("/predictions/0/claim", "nrom", {"predictions[0]", "no claim 'nrom'", "did you mean norm?"});
  refused("/predictions/0/arm", "rsm", {"no arm 'rsm'", "did you mean rms?"});
  refused("/predictions/0/against", "rms", {"'rms' against itself"});
  refused("/predictions/0/measure", "valid.lss", {"predictions[0]", "no measure valid.lss"});
  refused("/predictions/0/direction", "up", {"direction", "'up'", "lower, higher or near"});
  refused("/predictions/0/direction", "near", {"margin", "above 0"});
  refused("/predictions/0/margin", -1, {"margin", "-1"});
  refused("/predictions/0/margn", 1, {"no key 'margn'", "did you mean margin?"});
  refused("/predictions/0/role", "main", {"predictions[0]", "role", "'main'", "primary, check or secondary"});
  refused("/predictions/0/role", 1, {"predictions[0]", "role", "a text"});
  json twice = right_plan();  // two primaries of one claim
  twice["predictions"].push_back(twice["predictions"][0]);
  for (json& prediction : twice["predictions"]) prediction["role"] = "primary";
  check_refused(twice, {"predictions[1]", "second primary of claim 'norm'", "predictions[0]"});
  const auto refused_grid = [&](const char* grid, const std::vector<std::string>& fragments) {
    refused("/grid", json::parse(grid), fragments);
  };
  refused_grid(R"([{"name": "a", "options": "--lr {x}", "x": [1, 2]}])", {"grid[0]", "no {x} in 'a'"});
  refused_grid(R"([{"name": "a {y}", "options": "--lr {y}"}])", {"grid[0]", "'a {y}'", "braces"});
  refused_grid(R"([{"name": "a {x}", "options": "--lr {x}", "x": [1, 1]}])", {"'a 1'", "two of that name"});
  refused_grid(R"([{"name": "rms", "options": ""}])", {"'rms'", "two of that name"});
  refused_grid(R"([{"name": "r m", "options": ""}, {"name": "r-m", "options": ""}])",
               {"'r-m'", "punctuation"});

  json plan_of_stories = right_plan();  // which have nothing before them
  plan_of_stories["context_evaluation"] = true;
  plan_of_stories["measures"] = json::array({"context.loss"});
  check_refused(plan_of_stories, {"context.loss", "one piece"});
  json plan_of_tensors = right_plan();
  plan_of_tensors["options"] = "--preset gpt2 --layers 1 --probe grad.norm";
  plan_of_tensors["measures"] = json::array({"grad.norm.norm"});
  check_refused(plan_of_tensors, {"grad.norm.norm", "layers and heads"});

  const Folder folder;
  check_throws([&] { load_plan(folder / "nowhere.json"); }, {"nowhere.json", "No such file"});
  check_throws([&] { load_plan(folder.write("a.json", "{\"name\": \"a\",}")); }, {"a.json", "parse error"});
  check_throws([&] { load_plan(folder.write("b.json", "[]")); }, {"b.json", "JSON object"});
  check_throws([&] { load_plan(folder.write("c.json", "{\"name\": \"a\", \"name\": \"b\"}")); },
               {"\"name\"", "two of that name"});
  const json right = right_plan();
  for (const auto& [key, value] : right.items()) {
    if (key == "about" || key == "options" || key == "measures" || key == "predictions") continue;
    json plan = right;
    plan.erase(key);
    INFO(key);
    check_refused(plan, {key == "claims" ? "claim 'norm'" : key});
  }
}

TEST_CASE("verdicts: the whole interval inside, outside, or neither", "[experiment]") {
  using Direction = Prediction::Direction;
  const auto verdict = [](Direction direction, double margin, double low, double high) {
    Prediction p;
    p.direction = direction;
    p.margin = margin;
    return judge(p, {low, high});
  };
  CHECK(verdict(Direction::lower, 0, -2, -1) == Judgement::holds);
  CHECK(verdict(Direction::lower, 0, -2, 1) == Judgement::undecided);
  CHECK(verdict(Direction::lower, 0, 1, 2) == Judgement::contradicted);
  CHECK(verdict(Direction::lower, 1.5, -2, -1) == Judgement::undecided);
  CHECK(verdict(Direction::lower, 3, -2, -1) == Judgement::contradicted);
  CHECK(verdict(Direction::higher, 0, 1, 2) == Judgement::holds);
  CHECK(verdict(Direction::higher, 0, -1, 2) == Judgement::undecided);
  CHECK(verdict(Direction::higher, 0, -2, -1) == Judgement::contradicted);
  CHECK(verdict(Direction::higher, 3, 1, 2) == Judgement::contradicted);
  CHECK(verdict(Direction::near, 1, -0.5, 0.9) == Judgement::holds);
  CHECK(verdict(Direction::near, 1, -0.5, 1.1) == Judgement::undecided);
  CHECK(verdict(Direction::near, 1, 1.1, 2) == Judgement::contradicted);
  CHECK(verdict(Direction::near, 1, -3, -1.1) == Judgement::contradicted);
  CHECK(verdict(Direction::lower, 0, std::nan(""), std::nan("")) == Judgement::undecided);
}

TEST_CASE("planted results give the summary that they must", "[experiment]") {
  const Folder folder;
  json written = two_arms(5);
  written["predictions"] = {predicts_as("primary", "lower", 0), predicts_as("primary", "higher", 0, "d"),
                            predicts_as("primary", "lower", 1.5, "e"),
                            predicts_as("primary", "lower", 0.98, "f"),
                            predicts_as("primary", "near", 2, "g")};
  for (const char* claim : {"d", "e", "f", "g"}) add_claim(written, claim);
  const Plan plan = load(folder, written);
  // Two of five differences are off their mean of -1, so that their deviation is 0.1.
  const double off = std::sqrt(0.1 * 0.1 * 4 / 2);
  const std::vector<RunResult> results = planted_pairs(plan, "valid.loss", {-1 - off, -1 + off, -1, -1, -1});
  const Summary summary = summarise(plan, results);
  REQUIRE(summary.arms.size() == 2);
  const MeasureSummary& a = summary.arms[0].measures.at(0);
  const MeasureSummary& b = summary.arms[1].measures.at(0);
  CHECK(a.values == std::vector<double>{10, 11, 14, 19, 26});
  CHECK(a.mean == Approx(16));
  CHECK(a.differences.empty());
  CHECK(b.mean == Approx(15));
  CHECK(b.effect == Approx(-1));
  const double reach = 2.77645 * 0.1 / std::sqrt(5.0);
  CHECK(b.t.low == Approx(-1 - reach).epsilon(1e-5));
  CHECK(b.t.high == Approx(-1 + reach).epsilon(1e-5));
  CHECK(b.bootstrap.low > b.t.low);
  CHECK(b.bootstrap.high < b.t.high);
  const Judgement expected[] = {Judgement::holds, Judgement::contradicted, Judgement::contradicted,
                                Judgement::undecided, Judgement::holds};
  for (std::size_t i = 0; i < 5; ++i) {
    INFO(i << ": " << summary.predictions[i].words);
    CHECK(summary.predictions[i].judgement == expected[i]);
  }
  const std::vector<Summary> all = {summary};
  const std::string text = summary_text(all);
  CHECK(contains(text, "valid.loss"));
  CHECK(contains(text, "claim c (paper): A claim.\n    training: reproduced: holds on small\n"));
  CHECK(contains(text, "claim d (paper): Claim d.\n    training: contradicted on small\n"));
  CHECK(contains(text, "claim f (paper): Claim f.\n    training: undecided on small\n"));
  CHECK(contains(summary_markdown(all), "| a (baseline) | 5 | 16 |"));
  CHECK(contains(summary_csv(all), "small,b,valid.loss,5,0,15,"));
}

TEST_CASE("a page of a plan shows verdicts, differences and what failed", "[experiment]") {
  const Folder folder;
  json written = two_arms(3);
  written["predictions"] = {predicts("lower", 0), predicts("higher", 0)};
  const Plan plan = load(folder, written);
  PlanResults p{&plan, planted_pairs(plan, "valid.loss", {-1, -1.1, -0.9}), {}};
  for (std::size_t i = 0; i < p.results.size(); ++i) {
    const double off = static_cast<double>(i);
    p.results[i].curves = {{"valid.loss", -1, {10, 20}, {3 + off, 2 + off}}};
    p.results[i].spectra = {{10, {{{{1, 0.5}, {1, -0.5}}}}}, {20, {{{{2, 0.5}, {2, -0.5}}}}}};
    p.results[i].arrays = {{"attn.profile.profile", 20, {1, 1, 2}, {0.25, 0.75}},
                           {"attn.map.map", 20, {1, 1, 2, 2}, {1, 0, 0.25, 0.75}}};
  }
  p.summary = summarise(plan, p.results);
  const std::vector<Claim> claims = claims_of({p});
  REQUIRE(claims.size() == 1);
  REQUIRE(claims[0].findings.size() == 1);  // no theory was given
  CHECK(claims[0].findings[0].verdict == Judgement::holds);
  CHECK(claims[0].findings[0].reason == "Reproduced: holds on small.");
  REQUIRE(claims[0].predictions.size() == 2);
  CHECK(claims[0].predictions[0].judged);
  CHECK(claims[0].predictions[0].verdict == Judgement::holds);
  CHECK_FALSE(claims[0].predictions[1].judged);  // the second of its claim is secondary
  CHECK(claims[0].predictions[0].effect == Approx(-1));
  CHECK(contains(claims[0].command, "experiment " + plan.path));

  const Section section = section_of(p);
  std::map<std::string, std::string> csv;
  std::string html;
  for (const Content& content : section.contents) {
    html += content.html;
    for (const Figure& figure : content.figures) csv[figure.id] = figure.csv;
  }
  for (const char* id :
       {"small-valid-loss", "small-valid-loss-against-baseline", "small-difference-valid-loss",
        "small-attn-profile-profile", "small-attn-map-map", "small-eigenvalues"}) {
    INFO(id);
    CHECK(csv.contains(id));
  }
  CHECK(contains(csv["small-valid-loss"], "20,4"));  // the mean of 2, 4 and 6 over the seeds of arm a
  CHECK(contains(csv["small-valid-loss-against-baseline"], "b,20,1,1,1"));  // b is 1 above a in all seeds
  CHECK(contains(html, "11.7 ± 1.2"));  // two digits of the error, as many decimals of the mean
  CHECK(
      contains(page_html(experiment_page({p})), "seed 1, the first head of the first layer"));  // of several
  p.results.back().failure = "step 7: NaN";
  p.summary = summarise(plan, p.results);
  CHECK(contains(page_html(experiment_page({p})), "left out of all means: b, seed 3: step 7: NaN"));
  p.results.clear();
  p.summary = summarise(plan, p.results);
  CHECK(contains(page_html(experiment_page({p})), "Not run yet."));
}

TEST_CASE("of many arms, a page draws the best and leaves out what has not run", "[experiment]") {
  const Folder folder;
  json written = two_arms(1);
  written["measures"] = json::array({"valid.loss", "attn.entropy.normalised"});
  for (int i = 0; i < 18; ++i)
    written["arms"]["lr " + std::to_string(i)] = "--lr 1e-" + std::to_string(i + 1);
  const Plan plan = load(folder, written);
  PlanResults p{&plan, {}, {}};
  for (const Arm& arm : plan.arms) {
    if (arm.name == "lr 17") continue;
    // The first arms are the worst.
    const double loss = 30 - static_cast<double>(p.results.size());
    p.results.push_back(planted(plan, arm.name, 1, {{"valid.loss", loss}, {"attn.entropy.normalised", 1}}));
    p.results.back().curves = {{"valid.loss", -1, {10}, {loss}}};
  }
  p.summary = summarise(plan, p.results);
  std::map<std::string, std::string> csv;
  std::string html;
  for (const Content& content : section_of(p).contents) {
    html += content.html;
    for (const Figure& figure : content.figures) csv[figure.id] = figure.csv;
  }
  REQUIRE(csv.contains("small-difference-valid-loss"));
  CHECK(contains(csv["small-difference-valid-loss"], "row,difference in valid.loss,low,high\nlr 16,-18,"));
  CHECK(!csv.contains("small-difference-attn-entropy-normalised"));
  CHECK(contains(csv["small-valid-loss"], "lr 16"));
  CHECK(contains(csv["small-valid-loss"], "a,"));  // the baseline, though it is the worst
  CHECK(!contains(csv["small-valid-loss"], "lr 5,"));
  CHECK(contains(html, "lr 16</th>"));
  CHECK(!contains(html, "lr 17</th><td class=\"number\""));
}

TEST_CASE("the page of a plan: an arm beyond the scale is in the note and the CSV", "[experiment]") {
  const Folder folder;
  json written = two_arms(1);
  for (const char* arm : {"c", "d", "e"}) written["arms"][arm] = written["arms"]["b"];
  written["measures"] = {"valid.loss", "attn.entropy.normalised"};
  const Plan plan = load(folder, written);
  PlanResults p{&plan, {}, {}};
  double value = 1;
  for (const Arm& arm : plan.arms) {
    p.results.push_back(planted(plan, arm.name, 1, {{"valid.loss", 1}}));
    p.results.back().curves = {{"valid.loss", -1, {10}, {1}},
                               {"attn.entropy.normalised", 0, {10}, {arm.name == "e" ? -35102 : value++}}};
  }
  p.summary = summarise(plan, p.results);
  for (const Content& content : section_of(p).contents) {
    for (const Figure& figure : content.figures) {
      if (figure.id != "small-attn-entropy-normalised") continue;
      CHECK(contains(figure.csv, "e,10,-35102"));
      CHECK(figure.legend.size() == 4);
      CHECK(figure.note == "Beyond the scale: e, at the end -35,102.");
      return;
    }
  }
  FAIL("there is no such figure");
}

TEST_CASE("the page of a plan that is half done: not finished, in the badge and in words", "[experiment]") {
  const Folder folder;
  json written = two_arms(3);
  written["predictions"] = {predicts("lower", 0)};
  const Plan plan = load(folder, written);
  PlanResults p{&plan, planted_pairs(plan, "valid.loss", {-1, -1.1}), {}};
  p.summary = summarise(plan, p.results);
  const std::vector<Claim> claims = claims_of({p});
  REQUIRE(claims.size() == 1);
  CHECK(claims[0].findings.at(0).verdict == Judgement::unfinished);
  CHECK(claims[0].findings.at(0).reason == "Not finished: 0 of 1 task judged so far.");
  CHECK(claims[0].predictions.at(0).verdict == Judgement::unfinished);
  CHECK(claims[0].predictions.at(0).detail ==
        "Validation loss, b against a: lower predicted; not finished: 2 of 3 pairs");
}

TEST_CASE("failed runs are left out of the means, and said so", "[experiment]") {
  const Folder folder;
  json written = two_arms(4);
  written["predictions"] = json::array({predicts("lower", 0)});
  const Plan plan = load(folder, written);
  std::vector<RunResult> results = planted_pairs(plan, "valid.loss", {-1, -1.1, -0.9, 50});
  results.back().failure = "step 7: NaN in linear";
  Summary summary = summarise(plan, results);
  CHECK(summary.failed == 1);
  CHECK(summary.arms[1].failed == 1);
  CHECK(summary.arms[1].measures[0].values.size() == 3);
  CHECK(summary.arms[1].measures[0].effect == Approx(-1));
  CHECK(summary.predictions[0].judgement == Judgement::holds);
  CHECK(contains(summary.predictions[0].words, "1 pair left out"));
  const std::vector<Summary> all = {summary};
  CHECK(contains(summary_text(all), "left out of all means: b, seed 4: step 7: NaN in linear"));
  for (RunResult& result : results)
    if (result.arm == "b") result.failure = "step 7: NaN in linear";
  summary = summarise(plan, results);
  CHECK(summary.predictions[0].judgement == Judgement::undecided);
  CHECK(contains(summary.predictions[0].words, "4 pairs left out"));
}

TEST_CASE("figures of the test set wait for all runs", "[experiment]") {
  const Folder folder;
  json written = two_arms(3);
  written["test"] = true;
  written["measures"] = {"valid.loss", "test.loss"};
  written["predictions"] = json::array({predicts("lower", 0, "test.loss")});
  const Plan plan = load(folder, written);
  std::vector<RunResult> results = planted_pairs(plan, "test.loss", {-1, -1.1, -0.9});
  const RunResult last = results.back();
  results.pop_back();
  Summary summary = summarise(plan, results);
  CHECK(summary.test_hidden);
  CHECK(summary.arms[0].measures.size() == 1);
  CHECK(summary.predictions[0].judgement == Judgement::not_run);
  CHECK(summary.predictions[0].differences.empty());
  results.push_back(last);
  summary = summarise(plan, results);
  CHECK(!summary.test_hidden);
  CHECK(summary.arms[0].measures.size() == 2);
  CHECK(summary.predictions[0].judgement == Judgement::holds);
}

TEST_CASE("a result file comes back as it was written", "[experiment]") {
  const Folder folder;
  const Plan plan = load(folder, right_plan());
  RunResult r = planted(plan, "rms", 3, {{"valid.loss", 1.0 / 3}, {"attn.entropy.normalised", std::nan("")}});
  r.cpu_seconds = 12.5;
  r.wall_seconds = std::nan("");
  r.curves = {{"valid.loss", -1, {10, 20}, {2, std::nan("")}}, {"attn.entropy.nats", 1, {5}, {0.5}}};
  r.spectra = {{7, {{{{1, 2}, {1, -2}}, {}}}}};
  r.arrays = {{"attn.profile.profile", 7, {1, 2, 1}, {0.25, 0.75}}};
  const std::string older = to_json(r);  // which knew no windows and no warnings
  CHECK_FALSE(json::parse(older).contains("windows"));
  CHECK_FALSE(contains(older, "warnings"));
  CHECK(result_from_json(older, "x.json").windows == 0);
  CHECK(result_from_json(older, "x.json").warnings.empty());
  r.windows = 64;
  r.warnings = {"--softcap is \"idle\"", "a second"};
  const std::string text = to_json(r);
  const RunResult back = result_from_json(text, "x.json");
  CHECK(to_json(back) == text);
  CHECK(back.options == r.options);
  CHECK(back.windows == 64);
  CHECK(back.warnings == r.warnings);
  CHECK(back.figure("valid.loss") == 1.0 / 3);
  CHECK(std::isnan(back.figure("attn.entropy.normalised")));
  CHECK(back.curve("attn.entropy.nats", 1)->values == std::vector<double>{0.5});
  // Older versions kept profiles, but not what is read from them now.
  RunResult kept = back;
  std::vector<double> profile(32);
  profile[0] = profile[8] = 0.5;
  profile[16] = 1;
  kept.arrays = {{"attn.profile.profile", 40, {1, 2, 16}, profile},
                 {"attn.rho.rho", 40, {1, 2, 16}, profile}};
  const RunResult derived = result_from_json(to_json(kept), "older.json");
  CHECK(derived.figure("attn.profile.entropy") == Approx(std::log(2) / std::log(16) / 2));  // of two heads
  CHECK(derived.figure("attn.rho.later_half") == Approx(0.25));
  kept.figures["attn.rho.later_half"] = 0.7;  // what was read is not replaced
  CHECK(result_from_json(to_json(kept), "older.json").figure("attn.rho.later_half") == 0.7);
  kept.arrays[0].shape = {2, 4, 4};  // another array of that name
  CHECK(!result_from_json(to_json(kept), "older.json").figures.contains("attn.profile.entropy"));
  CHECK(back.spectra[0].eigenvalues[0][0][1] == std::complex<double>(1, -2));
  CHECK(back.arrays[0].values == std::vector<double>{0.25, 0.75});
  check_throws([&] { result_from_json(text.substr(0, 200), "x.json"); }, {"x.json", "is not JSON"});
  check_throws([&] { result_from_json("{\"format\": \"2\"}", "x.json"); }, {"x.json", "format"});
  // What cannot be is named, not drawn.
  const auto refused = [&](const char* pointer, const json& value, const std::string& fragment) {
    json changed = json::parse(text);
    changed[json::json_pointer(pointer)] = value;
    INFO(pointer);
    check_throws([&] { result_from_json(changed.dump(), "x.json"); }, {"x.json", fragment, "can be deleted"});
  };
  refused("/eigenvalues/1", {{"step", 9}, {"layers", json::array()}}, "different layers or heads");
  refused("/arrays/0/shape", {1, 2, -1}, "attn.profile.profile");
  refused("/arrays/0/values", {0.5}, "attn.profile.profile");
  refused("/options/lr", "fast", "--lr");
  refused("/curves/0/steps", {10}, "curve valid.loss");
  refused("/steps", "many", "type");
  refused("/windows", -2, "windows below 0");
  refused("/warnings", 3, "type");
  json failed = json::parse(text);
  failed["state"] = "failed";
  failed["failure"] = "";
  check_throws([&] { result_from_json(failed.dump(), "x.json"); }, {"x.json", "does not say why"});
}

TEST_CASE("results that do not fit the plan are refused", "[experiment]") {
  const Folder folder;
  const Plan plan = load(folder, right_plan());
  const std::string path = folder / "small/rms-seed3.json";
  fs::create_directories(folder / "small");
  const auto plant = [&](const RunResult& result) { write_atomically(path, to_json(result)); };
  const auto load_all = [&] { return load_results(plan, folder.path.string()); };
  RunResult r = planted(plan, "rms", 3, {});
  plant(r);
  CHECK(load_all().size() == 1);
  r.options["lr"] = "0.5";
  plant(r);
  check_throws(load_all, {path, "--lr: got 0.5, expected 0.001"});
  r = planted(plan, "rms", 3, {});
  r.options.erase("softcap");  // made before there was that option: it had its default
  plant(r);
  CHECK(load_all().size() == 1);
  json text = json::parse(to_json(r));
  text["options"]["no-more"] = 1;
  write_atomically(path, text.dump());
  check_throws(load_all, {"--no-more"});
  plant(planted(plan, "plain", 3, {}));
  check_throws(load_all, {path, "arm 'plain'", "arm 'rms'"});
  r = planted(plan, "plain", 3, {});
  r.data_fingerprint = "1234";
  plant(planted(plan, "rms", 3, {}));
  write_atomically(folder / "small/plain-seed3.json", to_json(r));
  check_throws(load_all, {"fingerprint", "1234", "00ff"});
}

// They were made by many versions: what these wrote down must still be understood.
TEST_CASE("all committed plans and their results are read", "[experiment]") {
  std::size_t plans = 0, results = 0;
  for (const auto& entry : std::filesystem::directory_iterator("train/paper")) {
    if (entry.path().extension() != ".json") continue;
    INFO(entry.path().string());
    const Plan plan = load_plan(entry.path().string());
    ++plans;
    results += load_results(plan, "").size();
  }
  CHECK(plans >= 17);
  CHECK(results >= 250);
}
