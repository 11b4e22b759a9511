// What README.md and the rooms' pages show is what is compiled here.
#include <fstream>
#include <sstream>

#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {
std::string contents(const std::string& path) {
  std::ifstream file(path);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}
}  // namespace

TEST_CASE("the README's guide to an ablation is this folder's symmetric_attention.cpp", "[readme]") {
  CHECK(contains(contents("README.md"), contents("tests/gradients/symmetric_attention.cpp")));
  const std::vector<std::string> names = Registry<Attention>::names();
  CHECK(std::find(names.begin(), names.end(), "symmetric") != names.end());
}

TEST_CASE("the probe of one's own in models/probes/README.md is tests/readme_probe.cpp", "[readme]") {
  CHECK(contains(contents("models/probes/README.md"), contents("tests/readme_probe.cpp")));
}

TEST_CASE("the ops of one's own in engine/README.md are this folder's own_ops.cpp", "[readme]") {
  CHECK(contains(contents("engine/README.md"), contents("tests/gradients/own_ops.cpp")));
}
