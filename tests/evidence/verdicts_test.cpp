// Verdicts: p values and roles, the correction for all primaries together, arms that do the same, claims.
#include <cmath>

#include "tests/pages.h"
#include "tests/planted.h"
#include "train/experiment/page.h"

using namespace ef;

namespace {

using Role = Prediction::Role;
using Direction = Prediction::Direction;

const std::vector<double> lower = {-1, -1.1, -0.9}, noise = {-1, 1, 0.5};

// The two-sided p of {-1.1, -1, -0.9} against 0: t = 10 sqrt(3) with two degrees of freedom, whose tails are
// 1 - t / sqrt(2 + t^2).
const double p_of_lower = 1 - std::sqrt(300.0 / 302);

// Plans that share a folder, with the results of each. A pair of arms "a" and "b" each.
struct Plans {
  Folder folder;
  std::vector<std::unique_ptr<Plan>> plans;
  std::vector<Summary> summaries;

  Summary& add_plan(const std::string& name, json plan, const std::vector<double>& differences) {
    plan["name"] = name;
    plans.push_back(std::make_unique<Plan>(load(folder, plan)));
    summaries.push_back(summarise(*plans.back(), planted_pairs(*plans.back(), "valid.loss", differences)));
    return summaries.back();
  }
  // A plan of three seeds with one primary.
  Summary& add(const std::string& name, const std::string& direction,
               const std::vector<double>& differences) {
    json plan = two_arms(3);
    plan["predictions"] = json::array({predicts_as("primary", direction, 0)});
    return add_plan(name, plan, differences);
  }
};

PredictionSummary of_theory(const std::string& claim, Role role, double p, Judgement tends) {
  PredictionSummary s;
  s.prediction.claim = claim;
  s.prediction.role = role;
  s.task = "random walks";
  s.finished = true;
  s.p = p;
  s.tends = tends;
  return s;
}

Prediction predicted(Direction direction, double margin) {
  Prediction p;
  p.direction = direction;
  p.margin = margin;
  return p;
}

}  // namespace

// ---- One prediction

TEST_CASE("p values of predictions by hand", "[experiment]") {
  const double error = 0.1 / std::sqrt(3.0);
  const auto two_sided = [&](double distance) {
    const double t = distance / error;
    return 1 - t / std::sqrt(2 + t * t);
  };
  const auto check = [&](Direction direction, double margin, double effect, double p, Judgement tends) {
    const PValue value = p_value(predicted(direction, margin), effect, error, 2);
    INFO(static_cast<int>(direction) << " " << margin << " " << effect);
    CHECK(value.p == Approx(p));
    CHECK(value.tends == tends);
  };
  check(Direction::lower, 0, -1, p_of_lower, Judgement::holds);
  check(Direction::lower, 0, 1, p_of_lower, Judgement::contradicted);
  check(Direction::lower, 0.9, -1, two_sided(0.1), Judgement::holds);
  check(Direction::lower, 1.2, -1, two_sided(0.2), Judgement::contradicted);
  check(Direction::higher, 0, 1, p_of_lower, Judgement::holds);
  check(Direction::higher, 0.9, 1, two_sided(0.1), Judgement::holds);
  check(Direction::higher, 0.9, -1, two_sided(1.9), Judgement::contradicted);
  check(Direction::higher, 1, 1, 1, Judgement::undecided);  // at the boundary
  // Equivalence is judged by the nearer end of the margin.
  check(Direction::near, 0.5, 0.2, two_sided(0.3), Judgement::holds);
  check(Direction::near, 0.5, -0.2, two_sided(0.3), Judgement::holds);
  check(Direction::near, 0.5, 0.7, two_sided(0.2), Judgement::contradicted);
  check(Direction::near, 0.5, -0.7, two_sided(0.2), Judgement::contradicted);
  check(Direction::near, 0.5, 0.5, 1, Judgement::undecided);
  const PValue none = p_value(predicted(Direction::near, 1), 1, std::nan(""), 0);
  CHECK(std::isnan(none.p));
  CHECK(none.tends == Judgement::undecided);
}

TEST_CASE("p is below .05 exactly where the 95 % interval is inside, or outside", "[experiment]") {
  const Random random{3, stream_of(Purpose::test, 23), 0};
  std::uint64_t draw = 0;
  std::map<Judgement, int> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::size_t n = 2 + random.below(draw++, 5);
    std::vector<double> x;
    const double shift = 4 * random.normal(draw++);
    for (std::size_t k = 0; k < n; ++k) x.push_back(shift + random.normal(draw++));
    for (const Direction direction : {Direction::lower, Direction::higher, Direction::near}) {
      const Prediction p = predicted(direction, 0.1 + 4 * random.uniform(draw++));
      const PValue value = p_value(p, mean(x), standard_error(x), static_cast<std::int64_t>(n) - 1);
      const Judgement judgement = judge(p, t_interval(x));
      CHECK((value.p < 0.05 ? value.tends : Judgement::undecided) == judgement);
      CHECK(value.p <= 1);
      ++seen[judgement];
    }
  }
  for (const Judgement judgement : {Judgement::holds, Judgement::contradicted, Judgement::undecided})
    CHECK(seen[judgement] > 300);
}

TEST_CASE("differences without any spread: the sign test, and no certainty", "[experiment]") {
  // Integers, so that the differences are the same to the bit. Of two of them p is 1/2, of six 1/32.
  const auto alone = [](std::size_t n, const json& prediction) {
    Plans plans;
    json plan = two_arms(static_cast<int>(n));
    plan["predictions"] = json::array({prediction});
    return plans.add_plan("small", plan, std::vector<double>(n, -1)).predictions.at(0);
  };
  const PredictionSummary two = alone(2, predicts_as("primary", "lower", 0));
  CHECK(two.p == 0.5);
  CHECK(two.judgement == Judgement::undecided);
  const PredictionSummary six = alone(6, predicts_as("primary", "lower", 0));
  CHECK(six.p == 1.0 / 32);
  CHECK(six.judgement == Judgement::holds);
  CHECK(alone(6, predicts_as("primary", "higher", 0)).judgement == Judgement::contradicted);
  CHECK(alone(6, predicts_as("primary", "lower", 1)).p == 1);  // at the boundary
  CHECK(alone(6, predicts_as("primary", "near", 2)).judgement == Judgement::holds);
  CHECK(alone(6, predicts_as("primary", "near", 0.5)).judgement == Judgement::contradicted);
  const PredictionSummary one = alone(1, predicts_as("primary", "lower", 0));
  CHECK(std::isnan(one.p));
  CHECK(std::isnan(one.adjusted));
  CHECK(one.words == "undecided; fewer than two pairs");
}

// ---- Roles

TEST_CASE("roles: as the plan says, or by the rule for plans without any", "[experiment]") {
  const Folder folder;
  json plan = two_arms(3);
  plan["options"] = "--preset gpt2 --layers 1 --probe attn.entropy,qk.spectrum";
  add_claim(plan, "d");
  const auto predicts_of = [](const std::string& claim, const std::string& measure) {
    json prediction = predicts("lower", 0, measure);
    prediction["claim"] = claim;
    return prediction;
  };
  plan["predictions"] = {predicts_of("c", "qk.spectrum.trace"), predicts_of("d", "valid.loss"),
                         predicts_of("c", "valid.loss"), predicts_of("d", "train.smoothed_loss"),
                         predicts_of("c", "attn.entropy.normalised")};
  const auto roles = [&](const json& written, bool afterwards) {
    const Plan read = load(folder, written);
    CHECK(read.roles_chosen_afterwards == afterwards);
    std::vector<Role> all;
    for (const Prediction& p : read.predictions) all.push_back(p.role);
    return all;
  };
  CHECK(roles(plan, true) ==
        std::vector<Role>{Role::check, Role::primary, Role::primary, Role::secondary, Role::secondary});
  // One role, and the rule is not used: the others are secondary, also those of the spectrum.
  plan["predictions"][4]["role"] = "primary";
  CHECK(roles(plan, false) ==
        std::vector<Role>{Role::secondary, Role::secondary, Role::secondary, Role::secondary, Role::primary});
  plan["predictions"][0]["role"] = "check";
  plan["predictions"][1]["role"] = "secondary";
  CHECK(roles(plan, false) ==
        std::vector<Role>{Role::check, Role::secondary, Role::secondary, Role::secondary, Role::primary});
  plan["predictions"] = json::array();
  CHECK(roles(plan, false).empty());
}

TEST_CASE("checks are judged by the plain interval, secondary ones not at all, and neither counts",
          "[experiment]") {
  Plans plans;
  json plan = two_arms(3);
  plan["predictions"] = {predicts_as("secondary", "higher", 0), predicts_as("check", "lower", 0),
                         predicts_as("check", "higher", 0), predicts_as("check", "near", 1),
                         predicts_as("primary", "lower", 0)};
  const Summary& summary = plans.add_plan("small", plan, lower);
  const char* words[] = {"", "as built", "not as built", "undecided", "holds"};
  for (std::size_t i = 0; i < 5; ++i) {
    INFO(i);
    CHECK(summary.predictions[i].words == words[i]);
    CHECK(std::isnan(summary.predictions[i].adjusted) == (i != 4));
  }
  CHECK(summary.predictions[0].judgement == Judgement::shown);
  CHECK(summary.predictions[0].t.high < 0);  // it would be contradicted
  CHECK(family_of(plans.summaries).primaries == 1);
  const ClaimSummary claim = judge_claims(plans.summaries).at(0);
  CHECK(claim.training.judgement == Judgement::holds);
  CHECK(claim.training.primaries == 1);
  CHECK(claim.predictions.size() == 2);  // without checks

  const std::string text = summary_text(plans.summaries), markdown = summary_markdown(plans.summaries);
  CHECK(contains(text,
                 "primary: lower\n    valid.loss: 'b' lower against 'a': -1 [-1.248, -0.7516], n = 3, p "
                 "0.0033 (Holm 0.0033): holds\n"));
  CHECK(contains(text,
                 "check: higher\n    valid.loss: 'b' higher against 'a': -1 [-1.248, -0.7516], n = 3: not "
                 "as built\n"));
  CHECK(contains(text,
                 "secondary: higher\n    valid.loss: 'b' higher against 'a': -1 [-1.248, -0.7516], n = "
                 "3\n"));
  CHECK(contains(text, "The interval of its secondary prediction misses with 5 %."));
  CHECK(text.find("primary: lower") < text.find("check: lower"));
  CHECK(contains(markdown,
                 "| small | c | lower | valid.loss | 3 pairs | -1 | [-1.248, -0.7516] | 0.0033 | "
                 "0.0033 | holds |"));
  CHECK(contains(markdown,
                 "| secondary | higher | valid.loss | b | a | higher | 3 | -1 | [-1.248, -0.7516] |  | "
                 " |  |"));

  const PlanResults p{plans.plans[0].get(), planted_pairs(*plans.plans[0], "valid.loss", lower), summary};
  const std::string html = page_html(experiment_page({p}));
  check_page(html);
  const std::size_t checks = html.find("<summary>Checks of the regulariser</summary>");
  REQUIRE(checks != std::string::npos);
  CHECK(html.find("<td>as built</td>") > checks);
  CHECK(html.find("<td>not as built</td>") > checks);
  CHECK(contains(html, "<summary>Secondary predictions: measured, not judged</summary>"));
}

// ---- All together

TEST_CASE("primaries are corrected for all plans that are judged together", "[experiment]") {
  Plans plans;
  // p .0033, .0033 x 4 = .013 and, of differences that scatter, .044: alone it holds, among three it does
  // not.
  const std::vector<double> scattered = {-1, -1.8, -1.2};
  plans.add("one", "lower", lower);
  plans.add("two", "higher", lower);
  plans.add("three", "lower", scattered);
  const double p = plans.summaries[2].predictions[0].p;
  CHECK(p == Approx(2 * p_above(4.0 / 3, standard_error(scattered), 2, 0)));
  REQUIRE(p > 0.025);
  REQUIRE(p < 0.05);
  CHECK(plans.summaries[2].predictions[0].judgement == Judgement::holds);  // alone
  const std::vector<Summary> both = judged({plans.summaries[0], plans.summaries[2]});
  CHECK(both[0].predictions[0].adjusted == Approx(std::max(2 * p_of_lower, 0.0)));
  CHECK(both[1].predictions[0].adjusted == Approx(p));
  CHECK(both[1].predictions[0].judgement == Judgement::holds);
  plans.add("four", "lower", noise);
  const std::vector<Summary> all = judged(plans.summaries);
  CHECK(all[0].predictions[0].adjusted == Approx(4 * p_of_lower));
  CHECK(all[1].predictions[0].adjusted == Approx(4 * p_of_lower));
  CHECK(all[2].predictions[0].adjusted == Approx(2 * p));
  CHECK(all[3].predictions[0].adjusted == Approx(all[3].predictions[0].p));
  CHECK(all[0].predictions[0].judgement == Judgement::holds);
  CHECK(all[1].predictions[0].judgement == Judgement::contradicted);
  CHECK(all[2].predictions[0].judgement == Judgement::undecided);
  CHECK(judge_claims(plans.summaries)[0].training.words ==
        "mixed: holds on one (1 of 4 tasks); contradicted on two; undecided on three and four");
  CHECK(contains(summary_text(plans.summaries), "Holm's correction for all 4 primary predictions"));
}

TEST_CASE("what is not finished counts with p = 1, and undoes nothing when it comes", "[experiment]") {
  Plans plans;
  plans.add("one", "lower", lower);
  plans.add("two", "lower", {-1, -1.1});  // two of three pairs
  plans.add("three", "lower", {});
  const std::vector<Summary> before = judged(plans.summaries);
  CHECK(before[0].predictions[0].adjusted == Approx(3 * p_of_lower));
  CHECK(before[0].predictions[0].judgement == Judgement::holds);
  CHECK(before[1].predictions[0].words == "not finished: 2 of 3 pairs");
  CHECK(std::isnan(before[1].predictions[0].p));
  CHECK(before[2].predictions[0].words == "not run yet");
  CHECK(family_of(plans.summaries).primaries == 3);
  CHECK(family_of(plans.summaries).unfinished == 2);
  CHECK(contains(summary_text(plans.summaries), "(2 are not finished, and counted with p = 1)"));
  CHECK(judge_claims(plans.summaries)[0].training.words ==
        "not finished: holds on one (1 of 3 tasks); 1 of 3 tasks judged so far");
  // Whatever they turn out to be, the first verdict stands.
  for (const std::vector<double>& later : {lower, noise, std::vector<double>{-1, -1.001, -1.002}}) {
    Plans finished;
    finished.add("one", "lower", lower);
    finished.add("two", "lower", later);
    finished.add("three", "lower", later);
    CHECK(judged(finished.summaries)[0].predictions[0].adjusted <= before[0].predictions[0].adjusted + 1e-15);
    CHECK(judged(finished.summaries)[0].predictions[0].judgement == Judgement::holds);
  }
}

TEST_CASE("a claim: reproduced, in part, mixed, contradicted, undecided, not finished, not asked",
          "[experiment]") {
  struct Task {
    const char *name, *direction;
    std::vector<double> differences;
  };
  const auto check = [](const std::vector<Task>& tasks, Judgement status, const std::string& words) {
    Plans plans;
    for (const Task& task : tasks) plans.add(task.name, task.direction, task.differences);
    const ClaimSummary claim = judge_claims(plans.summaries).at(0);
    CHECK(claim.training.words == words);
    CHECK(claim.training.judgement == status);
    CHECK(claim.training.primaries == tasks.size());
    CHECK(claim.theory.judgement == Judgement::not_asked);
  };
  const Task yes{"yes", "lower", lower}, too{"too", "lower", lower}, no{"no", "higher", lower},
      open{"open", "lower", noise}, half{"half", "lower", {-1}}, idle{"idle", "lower", {}};
  check({yes}, Judgement::holds, "reproduced: holds on yes");
  check({yes, too}, Judgement::holds, "reproduced: holds on yes and too");
  check({yes, open, too}, Judgement::partly,
        "in part: holds on yes and too (2 of 3 tasks); undecided on open");
  check({yes, no}, Judgement::mixed, "mixed: holds on yes (1 of 2 tasks); contradicted on no");
  check({no, open}, Judgement::contradicted, "contradicted on no; undecided on open");
  check({open}, Judgement::undecided, "undecided on open");
  check({half}, Judgement::unfinished, "not finished: 0 of 1 task judged so far");
  check({idle}, Judgement::not_run, "not run yet");
  check({no, idle}, Judgement::unfinished, "not finished: contradicted on no; 1 of 2 tasks judged so far");
  Plans plans;
  json plan = two_arms(3);
  plan["predictions"] = json::array({predicts_as("check", "lower", 0)});
  plans.add_plan("checks", plan, lower);
  CHECK(judge_claims(plans.summaries)[0].training.words == "not asked");
  CHECK(contains(summary_text(plans.summaries), "check: lower"));
}

TEST_CASE("the paper's claims come first, and two plans must say a claim alike", "[experiment]") {
  const Folder folder;
  auto [first, second] = opposite_plans();
  first["claims"]["of-ours"] = {{"says", "Ours."}, {"source", "ours"}};
  second["claims"]["of-paper"] = {{"says", "Theirs."}, {"source", "paper"}};
  const Plan a = load(folder, first), b = load(folder, second);
  const std::vector<Summary> both = {summarise(a, planted_pairs(a, "valid.loss", lower)), summarise(b, {})};
  const std::vector<ClaimSummary> claims = judge_claims(both);
  REQUIRE(claims.size() == 3);
  CHECK(claims[0].claim.id == "c");
  CHECK(claims[1].claim.id == "of-paper");
  CHECK(claims[2].claim.id == "of-ours");
  CHECK(claims[2].training.judgement == Judgement::not_asked);
  // Of a plan without results, no table of dashes.
  const std::string text = summary_text(both), markdown = summary_markdown(both);
  CHECK(contains(text, "==== other: 2 arms x 3 seeds x 40 updates\nA test.\n\nNot run yet.\n"));
  CHECK(contains(markdown, "Budget: 2 arms x 3 seeds x 40 updates.\n\nNot run yet.\n"));
  CHECK_FALSE(contains(summary_csv(both), "other,"));
  second["claims"]["c"]["says"] = "Another claim.";
  const Plan differs = load(folder, second);
  const std::vector<Summary> two = {both[0], summarise(differs, {})};
  check_throws([&] { judge_claims(two); }, {"claim 'c'", "A claim.", "differently"});
}

TEST_CASE("theory is a family and a column of its own", "[experiment]") {
  Plans plans;
  plans.add("one", "lower", lower);
  json plan = two_arms(3);
  add_claim(plan, "d");
  plan["predictions"] = json::array({predicts_as("primary", "lower", 0)});
  plans.add_plan("two", plan, noise);
  // Of claim "e" no plan speaks: it is not shown, but counts in the number.
  const std::vector<PredictionSummary> theory = {
      of_theory("c", Role::primary, 0.02, Judgement::contradicted),
      of_theory("d", Role::primary, 0.001, Judgement::holds),
      of_theory("d", Role::secondary, 1e-9, Judgement::contradicted),
      of_theory("e", Role::primary, 0.5, Judgement::holds)};
  const std::vector<ClaimSummary> claims = judge_claims(plans.summaries, theory);
  REQUIRE(claims.size() == 2);
  CHECK(claims[0].training.words == "in part: holds on one (1 of 2 tasks); undecided on two");
  CHECK(claims[0].theory.words == "contradicted on random walks");
  CHECK(claims[0].predictions.back().adjusted == Approx(0.04));  // 2 x .02, of three without the least
  CHECK(claims[1].training.judgement == Judgement::not_asked);
  CHECK(claims[1].theory.words == "reproduced: holds on random walks");
  CHECK(claims[1].theory.primaries == 1);
  // Training is judged as without theory.
  CHECK(judged(plans.summaries)[0].predictions[0].adjusted == Approx(2 * p_of_lower));
  CHECK(claims[0].predictions[0].adjusted == Approx(2 * p_of_lower));

  const std::string text = summary_text(plans.summaries, theory);
  CHECK(contains(text, "    training: not asked\n    theory: reproduced: holds on random walks\n"));
  CHECK(contains(text, "Theory is judged apart, by Holm's correction for its own 3 primary predictions"));
  CHECK(contains(text, "\nd (paper)  not asked    reproduced                    -     1 of 1\n"));
  const std::string markdown = summary_markdown(plans.summaries, theory);
  CHECK(contains(markdown, "| c (paper) | in part | contradicted | 1 of 2 | 0 of 1 |"));
  CHECK(contains(markdown, "| random walks | c |"));
  // Without theory there is no such column.
  CHECK_FALSE(contains(summary_text(plans.summaries), "theory"));
  CHECK_FALSE(contains(summary_markdown(plans.summaries), "theory"));

  std::vector<PlanResults> results;
  for (std::size_t i = 0; i < 2; ++i) results.push_back({plans.plans[i].get(), {}, plans.summaries[i]});
  const std::vector<Claim> shown = claims_of(results, theory);
  REQUIRE(shown.size() == 2);
  REQUIRE(shown[0].findings.size() == 2);
  CHECK(shown[0].findings[0].verdict == Judgement::partly);
  CHECK(shown[0].findings[1].verdict == Judgement::contradicted);
  CHECK(shown[0].findings[1].reason == "In theory: contradicted on random walks.");
  CHECK(shown[1].findings[0].verdict == Judgement::not_asked);
  CHECK(shown[1].findings[0].reason.empty());  // the badge says it
}

TEST_CASE("the rule is told: who got their roles afterwards, and only where there is something to judge",
          "[experiment]") {
  Plans plans;
  json old = two_arms(3), none = two_arms(3);
  old["predictions"] = {predicts("lower", 0), predicts("higher", 0)};
  plans.add_plan("old", old, lower);
  plans.add_plan("none", none, lower);
  CHECK(contains(
      summary_text(plans.summaries),
      "\nNo prediction of old has a role in its plan: roles were given afterwards, by a rule that was "
      "written down before it was applied"));
  CHECK(contains(summary_text(plans.summaries), "It is the only one here: there is nothing to correct."));
  plans.add("new", "lower", lower);
  CHECK(contains(summary_text(plans.summaries), "\nNo prediction of old has a role"));
  plans.add_plan("older", old, lower);
  CHECK(contains(summary_text(plans.summaries), "\nNo prediction of old and older has a role"));
  plans.summaries = {plans.summaries[0], plans.summaries[3]};
  CHECK(contains(summary_text(plans.summaries), "\nNo prediction of these plans has a role in its plan"));
  Plans without;
  without.add_plan("none", none, lower);
  CHECK(rules(without.summaries).empty());
  Plans fresh;
  fresh.add("new", "lower", lower);
  CHECK_FALSE(contains(summary_text(fresh.summaries), "afterwards"));
}

// ---- Arms that do the same

TEST_CASE("options that do nothing are known, and why", "[experiment]") {
  const auto reason = [](const std::string& line, const std::string& option) {
    const Folder folder;
    json plan = right_plan();
    plan["arms"]["rms"] = line;
    return idle_reason(load(folder, plan).arms[1].config, option);
  };
  CHECK(reason("--softcap 3", "softcap") == "attention is softmax");
  CHECK(reason("--softcap 3 --attention softcap", "softcap") == "");
  CHECK(reason("--temperature 3 --attention softcap", "temperature") == "attention is softcap");
  CHECK(reason("--attention temperature", "temperature") == "");
  CHECK(reason("--attention entropy", "entropy-reward") == "");
  CHECK(reason("--entropy-reward 3", "entropy-reward") == "attention is softmax");
  for (const char* option :
       {"strength", "hold", "scale", "mean", "target", "reg-layers", "reg-heads", "reg-warmup"}) {
    INFO(option);
    CHECK(reason("", option) == "regulariser is none");
    const bool of_l2 = std::string(option) == "strength" || std::string(option).starts_with("reg-");
    CHECK(reason("--regulariser l2-qk --strength 0", option) ==
          (of_l2 ? "strength is 0" : "regulariser is l2-qk"));
    CHECK(reason("--regulariser locater --strength 0 --mean target", option) == "strength and hold are 0");
    CHECK(reason("--regulariser locater --strength 1 --hold 1 --mean target", option) == "");
  }
  CHECK(reason("", "regulariser") == "");
  CHECK(reason("--regulariser l2-qk --strength 0", "regulariser") == "strength is 0");
  CHECK(reason("--regulariser l2-qk --strength 1", "regulariser") == "");
  CHECK(reason("--regulariser l2-qk --strength 1", "hold") == "regulariser is l2-qk");
  CHECK(reason("--regulariser l2-qk --strength 1", "reg-layers") == "");
  CHECK(reason("--regulariser locater --hold 1", "scale") == "strength is 0");
  CHECK(reason("--regulariser locater --hold 1", "mean") == "");
  CHECK(reason("--regulariser locater --strength 1", "mean") == "hold is 0");
  CHECK(reason("--regulariser locater --strength 1", "scale") == "");
  CHECK(reason("--regulariser locater --strength 1 --hold 1 --mean initial", "target") == "mean is initial");
  CHECK(reason("--schedule constant", "min-lr") == "schedule is constant");
  CHECK(reason("--schedule cosine", "min-lr") == "");
  CHECK(reason("--schedule cosine", "decay-share") == "schedule is cosine");
  CHECK(reason("--schedule wsd", "decay-share") == "");
  CHECK(reason("--warmup 0", "warmup-start") == "warmup is 0");
  CHECK(reason("--warmup 3", "warmup-start") == "");
  CHECK(reason("--weight-decay 0", "decay") == "weight-decay is 0");
  CHECK(reason("--weight-decay 0.1", "decay") == "");
  CHECK(reason("", "lr") == "");
}

TEST_CASE("arms that differ in idle options only say nothing, whatever their results", "[experiment]") {
  const auto why = [](const std::string& a, const std::string& b) {
    const Folder folder;
    json plan = two_arms(2);
    plan["arms"] = {{"a", a}, {"b", b}};
    return why_same(load(folder, plan), "b", "a", {});
  };
  CHECK(why("", "--softcap 20") == "its options are idle: --softcap");
  CHECK(why("", "--strength 1 --reg-warmup 9") == "its options are idle: --strength, --reg-warmup");
  CHECK(why("", "--regulariser locater --strength 0 --mean target --target 16") ==
        "its options are idle: --regulariser, --mean, --target");
  CHECK(why("--regulariser locater --hold 1 --mean initial",
            "--regulariser locater --hold 1 --mean initial --target 16") == "its options are idle: --target");
  CHECK(why("--norm rms", "--norm rms") == "its options are the same");
  CHECK(why("", "--norm rms") == "");
  CHECK(why("--softcap 20", "--attention softcap") == "");
  CHECK(why("", "--regulariser locater --strength 1e-3") == "");
  // One idle option must not hide what another does.
  CHECK(why("--softcap 20", "--softcap 30 --norm rms") == "");

  Plans plans;
  json plan = two_arms(3);
  plan["arms"]["b"] = "--softcap 20";
  plan["predictions"] = json::array({predicts_as("primary", "lower", 0)});
  const Summary& summary = plans.add_plan("small", plan, lower);  // of other machines, say
  const PredictionSummary& p = summary.predictions[0];
  CHECK(p.judgement == Judgement::says_nothing);
  CHECK(p.words == "says nothing: 'b' does what 'a' does: its options are idle: --softcap");
  CHECK(std::isnan(p.p));
  CHECK(family_of(plans.summaries).primaries == 0);
  const ClaimSummary claim = judge_claims(plans.summaries)[0];
  CHECK(claim.training.judgement == Judgement::not_asked);
  CHECK(claim.training.words ==
        "not asked; small: says nothing: 'b' does what 'a' does: its options are idle: --softcap");
  CHECK(contains(summary_text(plans.summaries),
                 "'b' does what 'a' does: its options are idle: --softcap. A comparison of the two says "
                 "nothing."));
  const PlanResults results{plans.plans[0].get(), planted_pairs(*plans.plans[0], "valid.loss", lower),
                            summary};
  CHECK(contains(page_html(experiment_page({results})), "</span> says nothing</span>"));
}

TEST_CASE("arms with the same bits say nothing, and count in no family once all are there", "[experiment]") {
  const Folder folder;
  json written = two_arms(3);
  written["predictions"] = json::array({predicts_as("primary", "near", 1)});
  const Plan plan = load(folder, written);
  std::vector<RunResult> results = planted_pairs(plan, "valid.loss", {0, 0, 0});
  for (RunResult& result : results) {
    result.figures["other"] = std::nan("");  // a NaN is as good as another
    result.curves = {{"valid.loss", -1, {10, 20}, {2, std::nan("")}}};
  }
  const auto summary = [&] { return summarise(plan, results); };
  CHECK(summary().predictions[0].words == "says nothing: 'b' does what 'a' does: same bits");
  CHECK(family_of({summary()}).primaries == 0);
  CHECK(summary().same_arms == std::vector<std::string>{"'b' does what 'a' does: same bits"});
  // One figure, or one point of a curve, and they are two arms.
  results.back().figures["valid.loss"] += 1e-12;
  CHECK(summary().predictions[0].judgement == Judgement::holds);
  CHECK(summary().same_arms.empty());
  results.back().figures["valid.loss"] -= 1e-12;
  results.back().curves[0].values[0] = 2.5;
  CHECK(summary().predictions[0].judgement != Judgement::says_nothing);
  CHECK(family_of({summary()}).primaries == 1);
  // A run that failed is left out of the comparison.
  results.back().failure = "step 7: NaN";
  CHECK(summary().predictions[0].judgement == Judgement::says_nothing);
  // The seeds so far do not tell what the next does: it still counts, as not finished.
  results.pop_back();
  CHECK(summary().predictions[0].words == "not finished: 2 of 3 pairs");
  CHECK(family_of({summary()}).primaries == 1);
  CHECK(summary().same_arms.size() == 1);
  results.clear();
  CHECK(summary().same_arms.empty());
}

// ---- What must be known

TEST_CASE("warnings of train, and how much text probes read, are told", "[experiment]") {
  const Folder folder;
  json written = two_arms(3);
  written["measures"] = json::array({"valid.loss", "attn.entropy.normalised"});
  const Plan plan = load(folder, written);
  std::vector<RunResult> results = planted_pairs(plan, "valid.loss", lower);
  const auto told = [&](const Plan& of, const std::string& text) {
    const std::vector<std::string> lines = remarks(summarise(of, results));
    return std::count(lines.begin(), lines.end(), text);
  };
  const std::string older =
      "Attention and tokens are read from the first two validation windows only (an older version).";
  CHECK(told(plan, older) == 1);
  for (RunResult& result : results) {
    result.windows = 64;
    if (result.arm == "b") result.warnings = {"the hold is weak"};
  }
  results[1].warnings.emplace_back("and more");
  CHECK(told(plan, "Attention and tokens are read from 64 windows of the validation text at the end.") == 1);
  CHECK(told(plan, older) == 0);
  CHECK(told(plan, "Arm 'b': warning: the hold is weak (3 runs).") == 1);
  CHECK(told(plan, "Arm 'b': warning: and more (1 run).") == 1);
  results[0].windows = 0;
  CHECK(told(plan,
             "Attention and tokens are read from 64 windows of the validation text at the end: 5 runs.") ==
        1);
  CHECK(told(plan,
             "Attention and tokens are read from the first two validation windows only (an older "
             "version): 1 run.") == 1);
  // Plans that do not show attention or tokens need not say it.
  written["measures"] = json::array({"valid.loss"});
  const Plan losses = load(folder, written);
  for (RunResult& result : results) result.windows = 0;
  CHECK(told(losses, older) == 0);
}

TEST_CASE("what a run leaves is collected: readings of few and of many windows, errors, warnings",
          "[experiment]") {
  const Folder folder;
  const Config config;
  folder.write("config.json", to_json(config, {{"version", "\"1\""}, {"parameters", "10"}}));
  const auto reading = [](int step, int layer, int windows, double normalised, double error = -1) {
    json line = {
        {"step", step}, {"split", "valid"}, {"probe", "attn.entropy"}, {"layer", layer}, {"head", 0}};
    line["normalised"] = normalised;
    if (error >= 0) line["normalised.se"] = error;
    if (windows > 0) line["windows"] = windows;
    return line.dump() + "\n";
  };
  std::string metrics;
  for (int step = 1; step <= 20; ++step)
    metrics += json({{"step", step}, {"split", "train"}, {"smoothed_loss", 4 + step}}).dump() + "\n";
  metrics += "{\"step\":10,\"split\":\"valid\",\"loss\":2,\"perplexity\":7}\n";
  // The last step is read twice; errors are of the many windows.
  metrics += reading(10, 0, 2, 0.5) + reading(10, 1, 2, 0.7) + reading(20, 0, 2, 0.1) +
             reading(20, 1, 2, 0.3) + reading(20, 0, 64, 0.4, 0.01) + reading(20, 1, 64, 0.6, 0.03);
  folder.write("metrics.jsonl", metrics);
  folder.write("log.txt",
               "model    1 layer\nwarning: weak\nstep 1 warning: not this\nwarning: weak\nwarning: idle\n");
  RunResult r = collect_result(folder.path.string(), "");
  CHECK(r.windows == 64);
  CHECK(r.warnings == std::vector<std::string>{"weak", "idle"});
  CHECK(r.figure("attn.entropy.normalised") == Approx(0.5));       // .4, .6: of the many
  CHECK(r.figure("attn.entropy.normalised.best") == Approx(0.6));  // at step 10
  CHECK(r.figure("attn.entropy.normalised.min") == Approx(0.2));   // of the few
  CHECK(r.figure("attn.entropy.normalised.max") == Approx(0.6));
  CHECK(r.figure("attn.entropy.normalised.se") == Approx(0.02));
  REQUIRE(r.curve("attn.entropy.normalised", 0) != nullptr);
  CHECK(r.curve("attn.entropy.normalised", 0)->values == std::vector<double>{0.5, 0.1});  // of the few
  CHECK(r.curve("attn.entropy.normalised", 1)->values == std::vector<double>{0.7, 0.3});
  for (const char* none :
       {"attn.entropy.windows", "attn.entropy.windows.max", "attn.entropy.normalised.se.best",
        "attn.entropy.normalised.se.min", "attn.entropy.normalised.se.max"}) {
    INFO(none);
    CHECK_FALSE(r.figures.contains(none));
  }
  CHECK(r.curve("attn.entropy.windows", 0) == nullptr);
  CHECK(r.curve("attn.entropy.normalised.se", 0) == nullptr);
  CHECK(r.figure("train.smoothed_loss") == Approx(23.5));  // the last two of twenty
  CHECK_FALSE(r.figures.contains("train.loss"));
  REQUIRE(r.curve("train.smoothed_loss") != nullptr);

  // As older versions wrote it; and an error that is not of the last reading is not kept.
  folder.write("metrics.jsonl", reading(10, 0, 0, 0.5, 0.01) + reading(20, 0, 0, 0.25));
  fs::remove(folder / "log.txt");
  r = collect_result(folder.path.string(), "");
  CHECK(r.windows == 0);
  CHECK(r.warnings.empty());
  CHECK(r.figure("attn.entropy.normalised") == 0.25);
  CHECK_FALSE(r.figures.contains("attn.entropy.normalised.se"));
  CHECK(r.curve("train.smoothed_loss") == nullptr);
}
