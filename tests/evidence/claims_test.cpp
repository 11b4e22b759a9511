// Claims on a page.
#include "train/evidence/claims.h"

#include <set>

#include "tests/pages.h"

namespace ef {
namespace {

TEST_CASE("verdicts: a word and a sign for each, predictions with their intervals", "[verdicts]") {
  using V = Judgement;
  std::set<std::string> badges, signs;
  for (const V v : {V::holds, V::partly, V::mixed, V::contradicted, V::undecided, V::unfinished, V::not_run,
                    V::not_asked, V::says_nothing}) {
    const std::string html = badge(v);
    CHECK(contains(html, "</span> " + std::string(claim_text(v)) + "</span>"));
    badges.insert(std::string(claim_text(v)));
    signs.insert(html.substr(html.find("hidden=\"true\">"), 18));
  }
  CHECK(badges.size() == 9);
  CHECK(signs.size() == 9);
  Claim claim{.text = "A claim",
              .source = "Somebody 2024",
              .findings = {{"training", V::partly, "Only at `x`."}, {"theory", V::not_asked, ""}},
              .predictions = {{.text = "less loss",
                               .verdict = V::holds,
                               .effect = -0.0213,
                               .low = -0.04,
                               .high = -0.0028,
                               .unit = "nats",
                               .p = "0.012",
                               .corrected = "0.036",
                               .evidence = "5 pairs"},
                              {.text = "more entropy", .judged = false, .effect = 0.5},
                              {.text = "later", .verdict = V::not_run}},
              .command = "build/bin/train --seed 1"};
  const std::string html = show(std::vector<Claim>{claim});
  CHECK(unbalanced(html) == "");
  for (const char* expected :
       {"id=\"claim-a-claim\"", "training <span class=\"badge partly\">", "in part",
        "theory <span class=\"badge idle\">", "not asked", "-0.0213 [-0.04, -0.0028] nats",
        "</span> holds</span>", ">0.012</td>", ">0.036</td>", ">p, Holm</th>", ">–</td>", "5 pairs",
        "<pre>build/bin/train --seed 1</pre>", "not run yet", "Only at <code>x</code>."})
    CHECK(contains(html, expected));
  // What is not judged is folded away, and has no badge and no p.
  const std::size_t fold = html.find("<details>");
  REQUIRE(fold != std::string::npos);
  const std::string folded_away = html.substr(fold);
  CHECK(html.find("more entropy") > fold);
  CHECK(html.find("less loss") < fold);
  CHECK(contains(folded_away, ">0.5</td>"));
  CHECK_FALSE(contains(folded_away, "badge"));
  CHECK_FALSE(contains(folded_away, "Holm"));
  // Columns that nobody fills are left out.
  claim.predictions.erase(claim.predictions.begin(), claim.predictions.begin() + 2);
  const std::string plain = show(std::vector<Claim>{claim});
  CHECK_FALSE(contains(plain, "Holm"));
  CHECK_FALSE(contains(plain, "rests on"));
  CHECK_FALSE(contains(plain, "<details>"));
  CHECK(show(std::vector<Claim>{}) == "");
}

}  // namespace
}  // namespace ef
