// The library, as somebody uses it who links it: tests/library/list.cpp with libeigenformer.a.
#include "models/transformer.h"
#include "tests/programs.h"

using namespace ef;

TEST_CASE("who links the library has all siblings", "[library]") {
  const Outcome outcome = run("uses-library");
  INFO(outcome.text);
  CHECK(outcome.status == 0);
  for (const std::string& name : Registry<Attention>::names())
    if (name != "mean") CHECK(contains(outcome.text, name + "\n"));  // which is one of the tests
  CHECK(contains(outcome.text, "logits [1, 4, 7]"));
}
