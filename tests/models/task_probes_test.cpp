// The probes that tasks are read with, on patterns and guesses that are made up.
#include <map>

#include "models/probes/probes.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

// A model of one layer and two heads, whose points show what is put there.
struct Shown {
  ModelConfig config;
  Parameters parameters;
  std::unique_ptr<Transformer> model;
  std::map<std::string, Tensor> seen;
  std::map<std::string, std::vector<Real>> numbers;

  Shown() {
    config.vocab = 3;
    config.context = 6;
    config.layers = 1;
    config.heads = 2;
    config.channels = 4;
    config.ffn = 4;
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    model = std::make_unique<Transformer>(Builder(parameters, nullptr), config);
  }
  void show(const std::string& path, const Shape& shape, std::vector<Real> values) {
    numbers[path] = std::move(values);
    seen[path] = Tensor{shape, numbers[path].data()};
  }
  Reading read(const std::string& probe, const std::vector<std::int32_t>& inputs,
               const std::vector<std::int32_t>& targets) const {
    const TextObservation text({*model, parameters}, seen, {}, true, inputs, targets);
    Reading r;
    probes_matching(probe)[0].read_text(text, r);
    return r;
  }
};

double value(const Reading& r, Index head, const std::string& key) {
  for (const Reading::Scalar& s : r.scalars)
    if (s.head == head && s.key == key) return s.value;
  return std::nan("");
}

}  // namespace

TEST_CASE("accuracy: the share of scored targets that are the likeliest token, and by place", "[probes]") {
  Shown world;
  world.show("logits", {1, 4, 3}, {0, 1, 2, 5, 1, 1, 0, 3, 1, 2, 2, 1});
  const Reading r = world.read("pred.accuracy", {0, 0, 0, 0}, {2, 1, -1, 0});
  CHECK(value(r, -1, "share") == Approx(2.0 / 3));  // of two alike the first counts
  REQUIRE(r.arrays.size() == 1);
  CHECK(r.arrays[0].shape == std::vector<Index>{6});
  const std::vector<float>& places = r.arrays[0].values;
  CHECK((places[0] == 1 && places[1] == 0 && places[3] == 1));
  for (const std::size_t none : {2, 4, 5}) CHECK(std::isnan(places[none]));
  CHECK(world.read("pred.accuracy", {0, 0, 0, 0}, {-1, -1, -1, -1}).scalars.empty());
  CHECK(world.read("pred.accuracy", {0, 0, 0, 0}, {}).scalars.empty());
}

TEST_CASE("attention to the token before, and to what followed the same token", "[probes]") {
  Shown world;
  // Head 0 looks at the token before, head 1 evenly at all. The text: a b a b a.
  constexpr Index T = 5;
  std::vector<Real> pattern(2 * T * T, 0);
  for (Index n = 0; n < T; ++n) {
    pattern[n * T + std::max<Index>(n - 1, 0)] = 1;
    for (Index t = 0; t <= n; ++t) pattern[(T + n) * T + t] = Real(1) / Real(n + 1);
  }
  world.show("blocks.0.attn.pattern", {1, 2, T, T}, pattern);
  const std::vector<std::int32_t> text = {0, 1, 0, 1, 0};
  const Reading before = world.read("attn.previous", text, text);
  CHECK(value(before, 0, "score") == Approx(1));
  CHECK(value(before, 1, "score") == Approx((1.0 / 2 + 1.0 / 3 + 1.0 / 4 + 1.0 / 5) / 4));
  // Rows 2, 3, 4 have an earlier token of their kind: at 0; at 1; at 0 and 2. Behind these stand 1; 2; 1 and
  // 3. Head 0 of row n looks at n - 1: 1, 2, 3, all of them.
  const Reading induction = world.read("attn.induction", text, text);
  CHECK(value(induction, 0, "score") == Approx(1));
  const double even = (1.0 / 3 + 1.0 / 4 + 2.0 / 5) / 3;
  CHECK(value(induction, 1, "score") == Approx(even));
  CHECK(value(induction, 0, "by_chance") == Approx(even));
  // Without a token that comes twice there is nothing to find.
  Shown other;
  other.show("blocks.0.attn.pattern", {1, 2, 2, 2}, {1, 0, 0.5, 0.5, 1, 0, 0, 1});
  CHECK(other.read("attn.induction", {0, 1}, {1, 1}).scalars.empty());
  CHECK(value(other.read("attn.previous", {0, 1}, {1, 1}), 1, "score") == 0);
}
