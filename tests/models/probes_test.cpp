// Probes: answers known by hand, inequalities that are theorems, and that looking changes nothing.
#include "models/probes/probes.h"

#include <cstring>
#include <deque>

#include "engine/random.h"
#include "tests/helpers.h"

namespace ef {
namespace {

const Real nan_value = std::numeric_limits<Real>::quiet_NaN();

struct Size {
  Index layers = 1, heads = 1, channels = 4, context = 8;
  std::string attention = "softmax";
  bool bias = true, plain = false;
  std::string block = "pre-norm";
};

// A model, and what its points are said to have shown.
struct World {
  ModelConfig config;
  Parameters parameters;
  Buffer gradients;
  std::unique_ptr<Transformer> model;
  std::map<std::string, Tensor> seen;
  std::deque<std::vector<Real>> shown;
  Tape tape;

  explicit World(const Size& size) {
    config.vocab = 11;
    config.context = size.context;
    config.layers = size.layers;
    config.heads = size.heads;
    config.channels = size.channels;
    config.ffn = 6;
    config.attention = size.attention;
    config.bias = size.bias;
    config.plain = size.plain;
    config.block = size.block;
    config.options.set("start-trace", 0.001);  // weights as few and as small as these reach no 16
    Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    parameters.initialise(3);
    gradients = Buffer(parameters.flat_size());
    model = std::make_unique<Transformer>(Builder(parameters, gradients.data()), config);
    for (const auto& block : model->blocks) block->attention->start({3, stream_of(Purpose::test), 0});
    tape.settings.training = false;
  }

  void show(const std::string& point, const Shape& shape, const std::vector<Real>& values) {
    REQUIRE(shape.size() == static_cast<Index>(values.size()));
    shown.push_back(values);
    seen["blocks.0." + point] = {shape, shown.back().data(), nullptr, "test"};
  }
  // One sequence, a head for each list of keys: its logits are query x keys. Behind what a row sees stands
  // what no probe may read.
  void show_logits(Real query, const std::vector<std::vector<Real>>& heads) {
    const std::size_t n = heads[0].size();
    std::vector<Real> logits(heads.size() * n * n, Real(1e30));
    for (std::size_t head = 0; head < heads.size(); ++head)
      for (std::size_t row = 0; row < n; ++row)
        for (std::size_t t = 0; t <= row; ++t) logits[(head * n + row) * n + t] = query * heads[head][t];
    const auto tokens = static_cast<Index>(n);
    show("attn.logits", {1, std::ssize(heads), tokens, tokens}, logits);
  }
  void set(const std::string& path, const std::vector<Real>& values) {
    const Tensor weight = parameters.at(path);
    REQUIRE(weight.size() == static_cast<Index>(values.size()));
    std::copy(values.begin(), values.end(), weight.data);
  }
  std::vector<std::int32_t> ids(Index sequences, Index tokens) const {
    std::vector<std::int32_t> list;
    for (Index i = 0; i < sequences * tokens; ++i) {
      list.push_back(static_cast<std::int32_t>((i * i + 3 * i) % config.vocab));
    }
    return list;
  }
  // What the points show in a forward. Lives until the next one.
  void look(Index sequences, Index tokens) {
    tape.reset();
    const Tape::Scope scope(tape);
    const Listener listener;
    const auto list = ids(sequences, tokens);
    model->forward(list, sequences);
    seen = listener.seen();
  }
  Reading read(const Probe& probe, const Real* values_before = nullptr,
               const Real* gradient = nullptr) const {
    const Observation weights{*model, parameters, gradient, values_before};
    Reading r;
    if (probe.read_weights) {
      probe.read_weights(weights, r);
      return r;
    }
    // Each sequence is a window of its own.
    std::vector<Reading> windows;
    const Index sequences = seen.empty() ? 1 : seen.begin()->second.shape[0];
    for (Index b = 0; b < sequences; ++b) {
      std::map<std::string, Tensor> one = seen;
      for (auto& [path, x] : one) {
        x.shape[0] = 1;
        x.data += b * x.size();
      }
      const TextObservation text(weights, one, {}, b == 0);
      probe.read_text(text, windows.emplace_back());
      windows.back().missing.insert(text.missing().begin(), text.missing().end());
    }
    return together(probe, windows);
  }
  Reading read(const std::string& name, const Real* values_before = nullptr,
               const Real* gradient = nullptr) const {
    const std::vector<Probe> probes = probes_matching(name);
    REQUIRE(probes.size() == 1);
    return read(probes[0], values_before, gradient);
  }
};

// The one scalar of that place and key.
double value(const Reading& r, Index layer, Index head, const std::string& key) {
  std::vector<double> found;
  for (const Reading::Scalar& s : r.scalars) {
    if (s.layer == layer && s.head == head && s.key == key) found.push_back(s.value);
  }
  INFO(key << " of layer " << layer << ", head " << head);
  REQUIRE(found.size() == 1);
  return found[0];
}

double value(const Reading& r, const std::string& tensor) {
  for (const Reading::Scalar& s : r.scalars)
    if (s.tensor == tensor) return s.value;
  FAIL("no scalar of " << tensor);
  return 0;
}

std::vector<Real> identity(Index n, Real times = 1) {
  std::vector<Real> matrix(n * n);
  for (Index i = 0; i < n; ++i) matrix[i * n + i] = times;
  return matrix;
}

// A causal pattern of one head, row n given by a function of (n, t), both from 1.
template <class Weight>
std::vector<Real> causal(Index tokens, Weight weight) {
  std::vector<Real> pattern(tokens * tokens);
  for (Index n = 1; n <= tokens; ++n) {
    for (Index t = 1; t <= n; ++t) {
      pattern[(n - 1) * tokens + t - 1] = Real(weight(n, t));
    }
  }
  return pattern;
}
double even(Index n, Index) { return 1.0 / static_cast<double>(n); }
double on_itself(Index n, Index t) { return t == n ? 1 : 0; }
double on_the_first(Index, Index t) { return t == 1 ? 1 : 0; }

// ---- Attention

TEST_CASE("attn.entropy: uniform rows have log n nats, one-hot rows none", "[probes]") {
  World world({.heads = 2});
  std::vector<Real> pattern = causal(5, even), other = causal(5, on_itself);
  pattern.insert(pattern.end(), other.begin(), other.end());
  world.show("attn.pattern", {1, 2, 5, 5}, pattern);
  const Reading r = world.read("attn.entropy");
  CHECK(value(r, 0, 0, "nats") == Approx(std::log(2.0 * 3 * 4 * 5) / 4).epsilon(1e-6));
  CHECK(value(r, 0, 0, "normalised") == Approx(1).epsilon(1e-6));
  CHECK(value(r, 0, 0, "last_row") == Approx(std::log(5.0)).epsilon(1e-6));
  CHECK(value(r, 0, 1, "nats") == 0);
  CHECK(value(r, 0, 1, "normalised") == 0);
  CHECK(value(r, 0, 1, "last_row") == 0);
  CHECK(r.scalars.size() == 6);
  CHECK(r.mean("last_row") == Approx(std::log(5.0) / 2).epsilon(1e-6));
  CHECK(std::isnan(r.mean("no such key")));
}

TEST_CASE("attn.entropy is a mean over sequences", "[probes]") {
  World world({});
  std::vector<Real> pattern = causal(2, even), other = causal(2, on_itself);
  pattern.insert(pattern.end(), other.begin(), other.end());
  world.show("attn.pattern", {2, 1, 2, 2}, pattern);
  const Reading r = world.read("attn.entropy");
  CHECK(value(r, 0, 0, "nats") == Approx(std::log(2.0) / 2).epsilon(1e-6));
  CHECK(value(r, 0, 0, "normalised") == Approx(0.5).epsilon(1e-6));
  CHECK(value(r, 0, 0, "last_row") == Approx(std::log(2.0) / 2).epsilon(1e-6));
}

// For T = 2 the worst logits of norm s are (s, -s) / sqrt 2: probabilities 1 / (1 + exp(+-sqrt(2) s)).
TEST_CASE("attn.zhai_bound for two tokens", "[probes]") {
  World world({.channels = 2});
  for (const Real a : {Real(0), Real(0.5), Real(3), Real(1000)}) {
    world.set("blocks.0.attn.q.weight", identity(2, -a));
    world.set("blocks.0.attn.k.weight", identity(2));
    world.show("attn_in", {1, 2, 2}, {3, 0, 0, 2});  // ||X X^T|| = 9
    const double s = static_cast<double>(a) * 9 / std::sqrt(2.0), p = 1 / (1 + std::exp(std::sqrt(2.0) * s));
    const double entropy = p == 0 ? 0 : -p * std::log(p) - (1 - p) * std::log1p(-p);
    INFO("s = " << s);
    CHECK(value(world.read("attn.zhai_bound"), 0, 0, "nats") == Approx(entropy).epsilon(1e-5).margin(1e-12));
  }
}

// The theorem: without biases the logits of the last row are those of W_Q W_K^T, and X is what attention
// reads.
TEST_CASE("attn.zhai_bound is never above the last row's entropy", "[probes]") {
  int heads = 0, tight = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const Index tokens = 1 + static_cast<Index>(seed) % 17, head_count = 1 + static_cast<Index>(seed) % 3;
    World world({.layers = 2, .heads = head_count, .channels = 6, .context = tokens, .bias = false});
    // From nearly uniform to nearly one-hot.
    const double size = 0.02 * std::pow(100.0, static_cast<double>(seed) / 60);
    for (const Parameter& p : world.parameters.list()) {
      if (!contains(p.path, "attn.q") && !contains(p.path, "attn.k")) continue;
      const Leaf weight(p.shape, 1000 * seed + static_cast<std::uint64_t>(p.offset));
      for (std::size_t i = 0; i < weight.values.size(); ++i) {
        world.parameters.values()[p.offset + static_cast<Index>(i)] = Real(size) * weight.values[i];
      }
    }
    world.look(2, tokens);
    const Reading r = world.read("attn.entropy"), bounds = world.read("attn.zhai_bound");
    for (Index layer = 0; layer < 2; ++layer) {
      for (Index head = 0; head < head_count; ++head) {
        const double entropy = value(r, layer, head, "last_row"), bound = value(bounds, layer, head, "nats");
        INFO("seed " << seed << ", layer " << layer << ", head " << head << ", T " << tokens);
        CHECK(bound >= 0);
        CHECK(bound <= entropy + 1e-6);  // the pattern is float32
        ++heads;
        tight += bound > 0.5 * entropy;
      }
    }
  }
  CHECK(heads >= 50);
  CHECK(tight >= 10);  // not because the bound is always nothing
}

TEST_CASE("attn.profile: uniform attention fills all bins alike, whatever the row's length", "[probes]") {
  for (const Index tokens : {1, 2, 3, 7, 16, 37}) {
    World world({});
    world.show("attn.pattern", {1, 1, tokens, tokens}, causal(tokens, even));
    const Reading r = world.read("attn.profile");
    INFO("T = " << tokens);
    CHECK(value(r, 0, 0, "last_quarter") == Approx(0.25).epsilon(1e-6));
    CHECK(value(r, 0, 0, "first_quarter") == Approx(0.25).epsilon(1e-6));
    REQUIRE(r.arrays.size() == 1);
    CHECK(r.arrays[0].key == "profile");
    CHECK(r.arrays[0].shape == std::vector<Index>{1, 1, 16});
    for (const float mass : r.arrays[0].values) CHECK(mass == Approx(1.0 / 16).epsilon(1e-6));
  }
}

TEST_CASE("attn.profile: where the mass is", "[probes]") {
  World world({});
  // T = 8: the rows of the last quarter are 7 and 8. The last of 8 tokens covers bins 14 and 15; the last of
  // 7 covers them and 2/7 of bin 13, in all 16/7 bins.
  world.show("attn.pattern", {1, 1, 8, 8}, causal(8, on_itself));
  const Reading late = world.read("attn.profile");
  CHECK(value(late, 0, 0, "last_quarter") == Approx(1));
  CHECK(value(late, 0, 0, "first_quarter") == 0);
  const std::vector<float>& profile = late.arrays[0].values;
  for (std::size_t i = 0; i < 13; ++i) CHECK(profile[i] == 0);
  CHECK(profile[13] == Approx(0.125 / 2).epsilon(1e-6));
  CHECK(profile[14] == Approx((0.4375 + 0.5) / 2).epsilon(1e-6));
  CHECK(profile[15] == Approx((0.4375 + 0.5) / 2).epsilon(1e-6));

  world.show("attn.pattern", {1, 1, 8, 8}, causal(8, on_the_first));
  const Reading early = world.read("attn.profile");
  CHECK(value(early, 0, 0, "last_quarter") == 0);
  CHECK(value(early, 0, 0, "first_quarter") == Approx(1));

  // Even over the last quarter of row 4 of 4: one token.
  world.show("attn.pattern", {1, 1, 4, 4},
             causal(4, [](Index n, Index t) { return n == 4 ? (t == 4 ? 1.0 : 0.0) : even(n, t); }));
  const Reading last = world.read("attn.profile");
  CHECK(value(last, 0, 0, "last_quarter") == 1);
  for (std::size_t i = 0; i < 16; ++i) CHECK(last.arrays[0].values[i] == (i < 12 ? 0 : 0.25f));
}

TEST_CASE("attn.map: a short pattern is the map, a long one is gathered in cells whose rows add up to 1",
          "[probes]") {
  World world({.layers = 1, .heads = 2});
  std::vector<Real> two = causal(5, even), late = causal(5, on_itself);
  two.insert(two.end(), late.begin(), late.end());
  std::vector<Real> shown = two;
  shown.resize(100, Real(-1));  // the second sequence is not looked at
  world.show("attn.pattern", {2, 2, 5, 5}, shown);
  const Reading small = world.read("attn.map");
  REQUIRE(small.arrays.size() == 1);
  CHECK(small.scalars.empty());
  CHECK(small.arrays[0].key == "map");
  CHECK(small.arrays[0].shape == std::vector<Index>{1, 2, 5, 5});
  for (std::size_t i = 0; i < two.size(); ++i) CHECK(small.arrays[0].values[i] == Approx(double(two[i])));

  // 128 tokens in 64 cells: two tokens each. Query cell i holds the rows of 2 i + 1 and 2 i + 2 tokens.
  World long_world({.heads = 1});
  long_world.show("attn.pattern", {1, 1, 128, 128}, causal(128, even));
  const Reading halved = long_world.read("attn.map");
  REQUIRE(halved.arrays[0].shape == std::vector<Index>{1, 1, 64, 64});
  const auto cell = [&](std::size_t query, std::size_t key) {
    return double(halved.arrays[0].values[query * 64 + key]);
  };
  CHECK(cell(0, 0) == Approx(1));
  CHECK(cell(10, 3) == Approx((2 / 21.0 + 2 / 22.0) / 2));
  CHECK(cell(10, 10) == Approx((1 / 21.0 + 2 / 22.0) / 2));
  CHECK(cell(10, 11) == 0);

  for (const Index tokens : {1, 63, 65, 100, 131}) {
    for (const Index heads : {1, 3, 16}) {
      World odd({.layers = 2, .heads = heads, .channels = 48});
      std::vector<Real> all;
      const std::vector<Real> one = causal(tokens, even);
      for (Index head = 0; head < heads; ++head) all.insert(all.end(), one.begin(), one.end());
      odd.show("attn.pattern", {1, heads, tokens, tokens}, all);
      const Reading r = odd.read("attn.map");
      const std::vector<Index>& shape = r.arrays[0].shape;
      INFO("T = " << tokens << ", " << heads << " heads");
      CHECK(shape[0] == 2);
      CHECK(shape[2] == shape[3]);
      CHECK(shape[3] <= std::min<Index>(tokens, 64));
      CHECK(r.arrays[0].values.size() <= 32768);
      const auto cells = static_cast<std::size_t>(shape[3]);
      for (std::size_t row = 0; row < static_cast<std::size_t>(heads) * cells; ++row) {
        double sum = 0;
        for (std::size_t key = 0; key < cells; ++key) {
          const double share = double(r.arrays[0].values[row * cells + key]);
          sum += share;
          if (key > row % cells) CHECK(share == 0);
        }
        CHECK(sum == Approx(1).epsilon(1e-5));
      }
      CHECK(std::isnan(r.arrays[0].values.back()));  // layer 1 showed nothing
    }
  }
}

TEST_CASE("attn.rho: a token is active where the piecewise linear softmax is not clipped", "[probes]") {
  World world({.channels = 1});
  const auto rho = [&](Real query, const std::vector<Real>& keys) {
    world.show_logits(query, {keys});
    return world.read("attn.rho");
  };
  for (const std::size_t tokens : {2u, 3u, 5u, 37u}) {
    const Reading r = rho(7, std::vector<Real>(tokens, Real(0.3)));
    CHECK(value(r, 0, 0, "mean") == Approx(1));
    for (const float bin : r.arrays.at(0).values) CHECK(bin == Approx(1));
  }
  CHECK(value(rho(1, {5}), 0, 0, "mean") == 0);  // S = 1 is clipped

  // Row 4 of 4: active are -1 < s - mean < 3.
  CHECK(value(rho(1, {0, 0, 0, 2}), 0, 0, "mean") == 1);
  CHECK(value(rho(1, {0, 0, 0, 4}), 0, 0, "mean") == 0);  // -1, -1, -1, 3: on the edge
  CHECK(value(rho(1, {0, 0, 0, 8}), 0, 0, "mean") == 0);
  const Reading r = rho(2, {-2, 0, 0, 0});  // -3, 1, 1, 1
  CHECK(value(r, 0, 0, "mean") == 0.75);
  CHECK(r.arrays[0].key == "rho");
  CHECK(r.arrays[0].shape == std::vector<Index>{1, 1, 16});
  for (std::size_t i = 0; i < 16; ++i) CHECK(r.arrays[0].values[i] == (i < 4 ? 0 : 1));
}

TEST_CASE("attn.rho: the later half's share", "[probes]") {
  World world({.channels = 1});
  // Row 4 of 4, active are -1 < s - mean < 3: all; then all but the first.
  world.show_logits(0, {{1, 1, 1, 1}});
  CHECK(value(world.read("attn.rho"), 0, 0, "later_half") == 0.5);
  world.show_logits(2, {{-2, 0, 0, 0}});
  CHECK(value(world.read("attn.rho"), 0, 0, "later_half") == Approx(2.0 / 3));
  world.show_logits(1, {{0, 0, 0, 8}});
  CHECK(std::isnan(value(world.read("attn.rho"), 0, 0, "later_half")));  // none is active
}

TEST_CASE("attn.profile: the entropy is that of the mean profile", "[probes]") {
  World world({});
  const auto entropy = [&] { return value(world.read("attn.profile"), 0, 0, "entropy"); };
  world.show("attn.pattern", {1, 1, 8, 8}, causal(8, even));
  CHECK(entropy() == Approx(1));
  world.show("attn.pattern", {1, 1, 16, 16}, causal(16, on_the_first));
  // Rows 13 to 16: the first token covers 1 bin and up to 3/13 of another.
  double first = 0;
  for (const double n : {13.0, 14.0, 15.0, 16.0}) first += n / 16 / 4;
  CHECK(entropy() == Approx(-(first * std::log(first) + (1 - first) * std::log(1 - first)) / std::log(16.0)));
  // Two windows, each on one token: neither is spread, their mean is, over two bins each. The jackknife of
  // two leaves one each time: both have the same entropy, and the error is 0.
  std::vector<Real> both = causal(8, on_the_first), last = causal(8, [](Index n, Index t) {
                                                      return n == 8 ? on_itself(n, t) : t == 7 ? 1.0 : 0.0;
                                                    });
  std::fill(both.begin() + 48, both.begin() + 56, Real(0));  // row 7: what it gives counts, too
  std::fill(last.begin() + 48, last.begin() + 56, Real(0));
  both.insert(both.end(), last.begin(), last.end());
  world.show("attn.pattern", {2, 1, 8, 8}, both);
  const Reading r = world.read("attn.profile");
  // Half of the rows of the last quarter give nothing: .25 in each of two bins for either window.
  const double p = 0.125, bins_filled = 4;
  CHECK(value(r, 0, 0, "entropy") == Approx(-bins_filled * p * std::log(p) / std::log(16.0)));
  for (const Reading::Scalar& s : r.scalars) {
    if (s.key == "entropy") CHECK(s.error == Approx(0).margin(1e-6));
    if (s.key == "last_quarter") CHECK(s.error == Approx(0.25));  // 0 and .5: s / sqrt 2
  }
}

TEST_CASE("attn.logits: largest, centred by row, deviation", "[probes]") {
  World world({.channels = 1});
  world.show_logits(-2, {{0, 0, 0, 4}});  // only row 4 is not constant: -8 - (-2) and three times 2
  const Reading r = world.read("attn.logits");
  CHECK(value(r, 0, 0, "largest") == 8);
  CHECK(value(r, 0, 0, "largest_centred") == 6);
  CHECK(value(r, 0, 0, "deviation") == Approx(std::sqrt((36 + 3 * 4) / 10.0)));

  world.show_logits(5, {{2, 2, 2}});  // softmax sees nothing of what all logits share
  CHECK(value(world.read("attn.logits"), 0, 0, "largest") == 10);
  CHECK(value(world.read("attn.logits"), 0, 0, "largest_centred") == 0);
  CHECK(value(world.read("attn.logits"), 0, 0, "deviation") == 0);

  world.show_logits(1, {{1, 2}, {-1, 4}});
  CHECK(value(world.read("attn.logits"), 0, 0, "largest") == 2);
  CHECK(value(world.read("attn.logits"), 0, 1, "largest") == 4);
}

TEST_CASE("a largest one is the largest of all windows, and has no error", "[probes]") {
  World world({.channels = 1});
  std::vector<Real> two = {1, 0, 3, 5, 2, 0, -7, 2};
  world.show("attn.logits", {2, 1, 2, 2}, two);
  const Reading r = world.read("attn.logits");
  CHECK(value(r, 0, 0, "largest") == 7);
  CHECK(value(r, 0, 0, "largest_centred") == 4.5);
  for (const Reading::Scalar& s : r.scalars)
    CHECK(std::isnan(s.error) == (s.key == "largest" || s.key == "largest_centred"));
  CHECK(r.windows == 2);
}

// An attention without logits, which says so, and one that says nothing.
struct Unseen : Attention {
  Point see_logits;
  bool says;
  Unseen(const Builder& b, bool s) : see_logits(b / "logits"), says(s) {}
  Tensor forward(const Tensor& x) const override {
    if (says) see_logits.none("it adds up, and forms none");
    return x;
  }
  std::vector<QKProduct> qk() const override { return {}; }
};

TEST_CASE("an attention without logits is left out, with the reason", "[probes]") {
  for (const bool says : {true, false}) {
    World world({.layers = 2});
    Parameters none;
    world.model->blocks[0]->attention =
        std::make_unique<Unseen>(Builder(none, nullptr) / "blocks" / 0 / "attn", says);
    const Tape::Scope scope(world.tape);
    const Listener listener;
    const auto ids = world.ids(1, 5);
    world.model->forward(ids, 1);
    const TextObservation text({*world.model, world.parameters}, listener.seen(), listener.absent(), true);
    for (const std::string name : {"attn.logits", "attn.rho"}) {
      Reading r;
      probes_matching(name)[0].read_text(text, r);
      CHECK(!r.scalars.empty());
      for (const Reading::Scalar& s : r.scalars) CHECK(s.layer == 1);
    }
    REQUIRE(text.missing().size() == 1);
    CHECK(*text.missing().begin() == (says ? "layer 0 does not show attn.logits: it adds up, and forms none"
                                           : "layer 0 does not show attn.logits"));
  }
}

// Of this project's own attentions, whose pattern is a softmax of their logits: others may be anything else.
TEST_CASE("attn.logits are what enters the softmax", "[probes]") {
  for (const bool plain : {false, true}) {
    for (const std::string name :
         {"softmax", "temperature", "softcap", "entropy", "mimetic", "trace-start", "sigma-reparam",
          "spectral-norm", "qk-layer-norm", "qk-rms-norm", "symmetric"}) {
      const std::vector<std::string> names = Registry<Attention>::names();
      if (std::ranges::count(names, name) == 0) continue;  // the README's example is in the other build
      World world({.layers = 2, .heads = 2, .context = 6, .attention = name, .plain = plain});
      world.look(2, 6);
      for (Index row = 0; row < 2 * 2 * 6; ++row) {
        const Real* s = world.seen.at("blocks.1.attn.logits").data + row * 6;
        const Real* a = world.seen.at("blocks.1.attn.pattern").data + row * 6;
        double sum = 0;
        for (Index t = 0; t <= row % 6; ++t) sum += std::exp(static_cast<double>(s[t]));
        for (Index t = 0; t <= row % 6; ++t) {
          INFO(name << (plain ? " plain" : "") << ", row " << row << ", key " << t);
          CHECK(static_cast<double>(a[t]) == Approx(std::exp(static_cast<double>(s[t])) / sum).epsilon(1e-5));
        }
      }
    }
  }
}

// ---- Tokens

TEST_CASE("resid.*: tokens that are all equal have collapsed", "[probes]") {
  World world({});
  world.show("resid_post", {1, 3, 4}, {1, -2, 0.3f, 7, 1, -2, 0.3f, 7, 1, -2, 0.3f, 7});
  const Reading rank = world.read("resid.rank"), directions = world.read("resid.effective_rank");
  CHECK(value(rank, 0, -1, "frobenius") == 0);
  CHECK(value(rank, 0, -1, "dong") == 0);
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(1));
  CHECK(value(directions, 0, -1, "effective") == Approx(1).epsilon(1e-4));
  CHECK(value(directions, 0, -1, "stable") == Approx(1).epsilon(1e-5));
}

TEST_CASE("resid.*: orthogonal tokens of equal length have not", "[probes]") {
  World world({});
  world.show("resid_post", {1, 4, 4}, identity(4, 2));
  const Reading rank = world.read("resid.rank"), directions = world.read("resid.effective_rank");
  CHECK(value(rank, 0, -1, "frobenius") == Approx(std::sqrt(0.75)));  // 4 x 1.5^2 + 12 x 0.5^2 of 16
  CHECK(value(rank, 0, -1, "dong") == Approx(1.5));                   // 1.5 + 3 x 0.5 of 2
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(0).margin(1e-12));
  CHECK(value(directions, 0, -1, "effective") == Approx(4).epsilon(1e-5));
  CHECK(value(directions, 0, -1, "stable") == Approx(4).epsilon(1e-5));
}

TEST_CASE("resid.*: a matrix of rank 2, and a token of length 0", "[probes]") {
  World world({});
  world.show("resid_post", {1, 3, 4}, {3, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0, 0});
  const Reading directions = world.read("resid.effective_rank");
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  CHECK(value(directions, 0, -1, "effective") == Approx(std::exp(entropy)).epsilon(1e-5));
  CHECK(value(directions, 0, -1, "stable") == Approx(10.0 / 9).epsilon(1e-6));
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(0).margin(1e-12));
  // The mean is (1, -1/3, 0, 0). Rest: rows (2, 1/3), (-1, 1/3), (-1, -2/3).
  const Reading rank = world.read("resid.rank");
  CHECK(value(rank, 0, -1, "frobenius") == Approx(std::sqrt((6 + 6.0 / 9) / 10)).epsilon(1e-6));
  CHECK(value(rank, 0, -1, "dong") == Approx(std::sqrt(4 * (7.0 / 3)) / 3).epsilon(1e-6));
}

TEST_CASE("resid.cosine is over pairs of different tokens", "[probes]") {
  World world({.channels = 2});
  world.show("resid_post", {1, 2, 2}, {1, 0, -5, 0});
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(-1));
  world.show("resid_post", {1, 3, 2}, {1, 0, 2, 0, 0, 3});
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(1.0 / 3));
  world.show("resid_post", {2, 2, 2}, {1, 0, -5, 0, 1, 0, 0, 1});  // sequences do not mix
  CHECK(value(world.read("resid.cosine"), 0, -1, "mean") == Approx(-0.5));
}

// ---- Weights

TEST_CASE("qk.spectrum: a projector, a rotation, nothing", "[probes]") {
  World world({.layers = 2, .heads = 2});  // k = 2 of 4 channels
  const Real c = Real(0.6), s = Real(0.8);
  const std::vector<Real> orthogonal = {c, -s, 0, 0, s, c, 0, 0, 0, 0, c, s, 0, 0, -s, c};
  const std::vector<Real> turned = {s, c, 0, 0, -c, s, 0,  0,
                                    0, 0, c, s, 0,  0, -s, c};  // of head 0, a quarter
  world.set("blocks.0.attn.q.weight", orthogonal);
  world.set("blocks.0.attn.k.weight", orthogonal);
  world.set("blocks.1.attn.q.weight", orthogonal);
  world.set("blocks.1.attn.k.weight", turned);
  const Reading r = world.read("qk.spectrum");
  const auto check = [&](Index layer, Index head, const std::vector<double>& expected) {
    const std::vector<std::string> keys = {"trace",    "trace_square", "frobenius_square", "mean",
                                           "variance", "radius",       "largest_singular", "localisation",
                                           "symmetry", "energy_1",     "energy_4"};
    for (std::size_t i = 0; i < keys.size(); ++i) {
      INFO(keys[i]);
      CHECK(value(r, layer, head, keys[i]) == Approx(expected[i]).margin(1e-6));
    }
  };
  check(0, 0, {2, 2, 2, 1, 0, 1, 1, 1, 1, 0.5, 1});
  check(0, 1, {2, 2, 2, 1, 0, 1, 1, 1, 1, 0.5, 1});
  check(1, 0, {0, -2, 2, 0, 1, 1, 1, 0, -1, 0.5, 1});
  check(1, 1, {2, 2, 2, 1, 0, 1, 1, 1, 1, 0.5, 1});
  CHECK(r.scalars.size() == 4 * 11);

  REQUIRE(r.arrays.size() == 1);
  CHECK(r.arrays[0].key == "eigenvalues");
  CHECK(r.arrays[0].shape == std::vector<Index>{2, 2, 2, 2});
  std::vector<float> values = r.arrays[0].values;
  if (values[9] < 0) std::swap(values[9], values[11]);  // i and -i, in either order
  const std::vector<float> expected = {1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0, -1, 1, 0, 1, 0};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(values.at(i) == Approx(expected[i]).margin(1e-6));

  world.set("blocks.0.attn.q.weight", std::vector<Real>(16));
  const Reading zero = world.read("qk.spectrum");
  CHECK(value(zero, 0, 0, "frobenius_square") == 0);
  CHECK(value(zero, 0, 0, "largest_singular") == 0);
  CHECK(std::isnan(value(zero, 0, 0, "localisation")));
}

TEST_CASE("grad.norm and update.ratio", "[probes]") {
  for (const std::string attention : {"softmax", "spectral-norm"}) {
    World world({.channels = 2, .attention = attention});
    CHECK(world.read("grad.norm").scalars.empty());
    CHECK(world.read("update.ratio").scalars.empty());
    std::vector<Real> gradients(world.parameters.flat_size()), before = gradients;
    std::size_t trained = 0;
    for (const Parameter& p : world.parameters.list()) {
      trained += p.trained;
      if (p.path != "blocks.0.attn.q.weight") continue;
      const std::vector<Real> g = {1, -2, 2, 4}, old = {3, 0, 0, 4};
      std::copy(g.begin(), g.end(), gradients.begin() + p.offset);
      std::copy(old.begin(), old.end(), before.begin() + p.offset);
    }
    world.set("blocks.0.attn.q.weight", {3, 0.3f, 0.4f, 4});
    const Reading norms = world.read("grad.norm", nullptr, gradients.data());
    const Reading ratios = world.read("update.ratio", before.data());
    CHECK(norms.scalars.size() == trained);
    CHECK(ratios.scalars.size() == trained);
    CHECK(norms.scalars[0].key == "norm");
    CHECK(ratios.scalars[0].key == "ratio");
    CHECK(value(norms, "blocks.0.attn.q.weight") == Approx(5));
    CHECK(value(norms, "blocks.0.attn.k.weight") == 0);
    CHECK(value(ratios, "blocks.0.attn.q.weight") == Approx(0.1).epsilon(1e-6));
    CHECK(std::isnan(value(ratios, "blocks.0.attn.k.weight")));  // relative to nothing
  }
}

// ---- Edges

TEST_CASE("probes: no attention, no block shown: nothing is read and nothing thrown", "[probes]") {
  World world({});
  const std::vector<std::pair<std::string, std::string>> readers = {
      {"attn.q", ""}, {"attn_in", "attn.zhai_bound"}, {"resid_post", "resid."}};
  for (const auto& [point, reader] : readers) {
    for (const Probe& probe : probes_matching("attn.*,resid.r*,resid.c*,resid.e*")) {
      INFO(probe.name << " without any point but " << point);
      world.seen.clear();
      const Reading nothing = world.read(probe);
      CHECK(nothing.scalars.empty());
      CHECK(nothing.arrays.empty());
      CHECK(nothing.missing.size() == 1);
      world.show(point, {1, 2, 4}, std::vector<Real>(8));
      CHECK(world.read(probe).scalars.empty() == !(!reader.empty() && contains(probe.name, reader)));
    }
  }
}

TEST_CASE("probes: one sequence, one token, one head", "[probes]") {
  World world({.channels = 1});
  world.look(1, 1);
  const Reading entropy = world.read("attn.entropy"), directions = world.read("resid.effective_rank");
  CHECK(std::isnan(value(entropy, 0, 0, "nats")));
  CHECK(std::isnan(value(entropy, 0, 0, "normalised")));
  CHECK(value(entropy, 0, 0, "last_row") == 0);
  CHECK(value(world.read("attn.zhai_bound"), 0, 0, "nats") == 0);
  CHECK(value(world.read("attn.profile"), 0, 0, "last_quarter") == 0.25);
  CHECK(value(world.read("attn.rho"), 0, 0, "mean") == 0);
  CHECK(value(world.read("attn.logits"), 0, 0, "deviation") == 0);
  CHECK(value(world.read("resid.rank"), 0, -1, "frobenius") == 0);
  CHECK(std::isnan(value(world.read("resid.cosine"), 0, -1, "mean")));
  CHECK(value(directions, 0, -1, "effective") == Approx(1));
  CHECK(value(directions, 0, -1, "stable") == Approx(1));
}

TEST_CASE("probes: a matrix of zeros has no relative residual, no cosine and no rank", "[probes]") {
  World world({});
  world.show("resid_post", {1, 3, 4}, std::vector<Real>(12));
  for (const std::string name : {"resid.rank", "resid.cosine", "resid.effective_rank"}) {
    const Reading r = world.read(name);
    CHECK(!r.scalars.empty());
    for (const Reading::Scalar& s : r.scalars) CHECK(std::isnan(s.value));
  }
}

TEST_CASE("probes: what depends on a NaN is NaN, and nothing is thrown", "[probes]") {
  for (const Real bad : {nan_value, std::numeric_limits<Real>::infinity()}) {
    World world({.layers = 2, .heads = 2});
    world.look(2, 5);
    std::vector<Real> pattern = values_of(world.seen["blocks.0.attn.pattern"]),
                      logits = values_of(world.seen["blocks.0.attn.logits"]),
                      x = values_of(world.seen["blocks.0.attn_in"]);
    std::fill(pattern.begin(), pattern.begin() + 25, nan_value);  // head 0 of sequence 0
    logits[4 * 5 + 2] = x[7] = bad;
    world.show("attn.pattern", {2, 2, 5, 5}, pattern);
    world.show("attn.logits", {2, 2, 5, 5}, logits);
    world.show("attn_in", {2, 5, 4}, x);
    world.show("resid_post", {2, 5, 4}, x);
    world.parameters.at("blocks.0.attn.k.weight").data[3] = bad;
    for (const Probe& probe : probes_matching("attn.*,qk.*,resid.r*,resid.c*,resid.e*")) {
      for (const Reading::Scalar& s : world.read(probe).scalars) {
        if (s.key == "largest" && std::isinf(bad)) continue;        // infinity is largest
        const bool of_all_heads = probe.name == "attn.zhai_bound";  // X is theirs
        INFO(probe.name << " " << s.key << " of layer " << s.layer << ", head " << s.head);
        CHECK(std::isnan(s.value) == (s.layer == 0 && (s.head < 1 || of_all_heads)));
      }
    }
  }
}

TEST_CASE("probes: every attention can be probed", "[probes]") {
  for (const std::string& name : Registry<Attention>::names()) {
    World world({.layers = 2, .heads = 2, .context = 9, .attention = name});
    world.look(3, 9);
    for (const Probe& probe : probes_matching("attn.*,qk.*,resid.*")) {
      INFO(probe.name << " of " << name);
      const Reading r = world.read(probe);
      // What a layer does not show, or has not, is left out with the reason.
      CHECK((!r.missing.empty() || !r.scalars.empty() || !r.arrays.empty()));
      for (const Reading::Scalar& s : r.scalars) CHECK(std::isfinite(s.value));
      for (const Reading::Array& a : r.arrays) {
        Index size = 1;
        for (const Index dim : a.shape) size *= dim;
        CHECK(size == static_cast<Index>(a.values.size()));
        for (const float v : a.values) CHECK(std::isfinite(v));
      }
    }
  }
}

// ---- Looking

TEST_CASE("a listener sees what passes within its scope", "[probes]") {
  World world({.layers = 2});
  const Tape::Scope scope(world.tape);
  const auto ids = world.ids(2, 5);
  const auto forward = [&] { world.model->forward(ids, 2); };
  forward();
  const Listener outer;
  CHECK(outer.seen().empty());
  {
    const Listener inner;
    forward();
    CHECK(inner.seen().size() == 2 * 11 + 2);  // and hidden, logits
    CHECK(inner.seen().at("blocks.1.attn.pattern").shape == Shape{2, 1, 5, 5});
    CHECK(inner.seen().at("blocks.0.resid_post").shape == Shape{2, 5, 4});
  }
  CHECK(outer.seen().empty());
  forward();
  CHECK(outer.seen().size() == 2 * 11 + 2);
}

// x W^T + b: [..., in] -> [..., out], factor times W.
std::vector<Real> linear_of(World& world, const std::string& path, const Tensor& x, double factor = 1) {
  const Tensor w = world.parameters.at(path + ".weight"), b = world.parameters.at(path + ".bias");
  const Index in = w.shape[1], out = w.shape[0];
  std::vector<Real> y;
  for (Index row = 0; row < x.size() / in; ++row) {
    for (Index o = 0; o < out; ++o) {
      double sum = static_cast<double>(b.data[o]);
      for (Index i = 0; i < in; ++i)
        sum += factor * static_cast<double>(w.data[o * in + i]) * static_cast<double>(x.data[row * in + i]);
      y.push_back(static_cast<Real>(sum));
    }
  }
  return y;
}

// gamma / sigma of a layer whose weights are scaled to a spectral norm; 1 of others.
double factor_of(World& world, const std::string& path) {
  const auto has = [&](const Parameter& p) { return p.path == path + ".gamma"; };
  if (std::ranges::none_of(world.parameters.list(), has)) return 1;
  const Tensor w = world.parameters.at(path + ".weight"), u = world.parameters.at(path + ".u"),
               v = world.parameters.at(path + ".v");
  double sigma = 0;
  for (Index i = 0; i < w.size(); ++i)
    sigma += static_cast<double>(u.data[i / w.shape[1]]) * static_cast<double>(w.data[i]) *
             static_cast<double>(v.data[i % w.shape[1]]);
  return static_cast<double>(world.parameters.at(path + ".gamma").data[0]) / sigma;
}

std::vector<Real> sum_of(const Tensor& a, const Tensor& b) {
  std::vector<Real> sum = values_of(a);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b.data[i];
  return sum;
}

// Heads of values as they are mixed: those that query heads share, as often as they are shared. [B, T, C]
std::vector<Real> for_each_query(const std::vector<Real>& v, Index heads, Index dim, const Shape& shape) {
  const Index tokens = shape.rows(), shared = heads * dim * tokens / std::ssize(v);
  std::vector<Real> all;
  for (Index t = 0; t < tokens; ++t)
    for (Index h = 0; h < heads; ++h)
      for (Index i = 0; i < dim; ++i) all.push_back(v[(t * (heads / shared) + h / shared) * dim + i]);
  return all;
}

// What the pattern makes of the values: [B, T, C] of heads side by side.
std::vector<Real> mixed(const Tensor& pattern, const Tensor& v) {
  const Index batch = v.shape[0], tokens = v.shape[1], channels = v.shape[2], heads = pattern.shape[1],
              dim = channels / heads;
  std::vector<Real> z(v.size());
  for (Index b = 0; b < batch; ++b)
    for (Index n = 0; n < tokens; ++n)
      for (Index c = 0; c < channels; ++c) {
        double sum = 0;
        for (Index t = 0; t <= n; ++t)
          sum += static_cast<double>(pattern.data[((b * heads + c / dim) * tokens + n) * tokens + t]) *
                 static_cast<double>(v.data[(b * tokens + t) * channels + c]);
        z[(b * tokens + n) * channels + c] = static_cast<Real>(sum);
      }
  return z;
}

TEST_CASE("points: values, their mix, what each part gives, the stream and the logits fit", "[probes]") {
  const double close = 1e-5;
  int shown = 0;
  for (const std::string& attention : Registry<Attention>::names()) {
    for (const std::string& block : Registry<Block>::names()) {
      for (const bool plain : {false, true}) {
        INFO(attention << ", " << block << (plain ? ", plain" : ""));
        World world(
            {.layers = 2, .heads = 2, .context = 6, .attention = attention, .plain = plain, .block = block});
        // Biases are zeros, and gains ones, at the start: they would hide a point in the wrong place.
        for (const Parameter& p : world.parameters.list()) {
          if (!p.path.ends_with(".bias") && !contains(p.path, "norm")) continue;
          for (Index i = 0; i < p.shape.size(); ++i)
            world.parameters.values()[p.offset + i] += Real(0.1) * static_cast<Real>(i % 5 - 1);
        }
        world.look(3, 6);
        const Tape::Scope scope(world.tape);
        const auto at = [&](const std::string& point) { return world.seen.at("blocks.1." + point); };
        const Shape stream{3, 6, 4};
        for (const char* point : {"attn_in", "attn_out", "resid_mid", "mlp_out", "resid_post"}) {
          INFO(point);
          CHECK(at(point).shape == stream);
        }
        // A sibling need not show what is inside of it; those that do show what fits together.
        const auto shows = [&](const char* point) {
          return world.seen.contains(std::string("blocks.1.attn.") + point);
        };
        if (shows("v") && shows("z") && shows("pattern")) {
          ++shown;
          CHECK(at("attn.v").shape == stream);
          CHECK(at("attn.z").shape == stream);
          const std::string path = "blocks.1.attn.";
          const std::vector<Real> v =
              linear_of(world, path + "v", at("attn_in"), factor_of(world, path + "v"));
          CHECK(distance(values_of(at("attn.v")), for_each_query(v, 2, 2, stream)) < close);
          CHECK(distance(values_of(at("attn.z")), mixed(at("attn.pattern"), at("attn.v"))) < close);
          const Tensor given = shows("gate") ? mul(at("attn.z"), at("attn.gate")) : at("attn.z");
          CHECK(distance(values_of(at("attn_out")),
                         linear_of(world, path + "out", given, factor_of(world, path + "out"))) < close);
        }
        const Tensor before = world.seen.at("blocks.0.resid_post"), mid = at("resid_mid"),
                     post = at("resid_post");
        const Block& layer = *world.model->blocks[1];
        // The layer norm of that path, and what the feed-forward part makes of a tensor.
        const auto normed = [&](const std::string& path, const Tensor& x) {
          return layer_norm(x, world.parameters.at("blocks.1." + path + ".weight"),
                            world.parameters.at("blocks.1." + path + ".bias"), 1e-5);
        };
        const auto thought = [&](const Tensor& x) { return values_of(layer.feed_forward->forward(x)); };
        if (block == "pre-norm") {
          CHECK(distance(values_of(at("attn_in")), values_of(normed("attn_norm", before))) < close);
          CHECK(distance(values_of(mid), sum_of(before, at("attn_out"))) < close);
          CHECK(distance(values_of(post), sum_of(mid, at("mlp_out"))) < close);
          CHECK(distance(values_of(at("mlp_out")), thought(normed("mlp_norm", mid))) < close);
        } else if (block == "post-norm") {
          CHECK(distance(values_of(at("attn_in")), values_of(before)) == 0);
          CHECK(distance(values_of(mid), values_of(normed("attn_norm", add(before, at("attn_out"))))) <
                close);
          CHECK(distance(values_of(at("mlp_out")), thought(mid)) < close);
          CHECK(distance(values_of(post), values_of(normed("mlp_norm", add(mid, at("mlp_out"))))) < close);
        } else if (block == "sandwich-norm") {
          CHECK(distance(values_of(at("attn_in")), values_of(normed("attn_norm", before))) < close);
          CHECK(distance(values_of(mid), sum_of(before, normed("attn_out_norm", at("attn_out")))) < close);
          CHECK(distance(values_of(at("mlp_out")), thought(normed("mlp_norm", mid))) < close);
          CHECK(distance(values_of(post), sum_of(mid, normed("mlp_out_norm", at("mlp_out")))) < close);
        } else {
          REQUIRE(block == "parallel");
          CHECK(distance(values_of(at("attn_in")), values_of(normed("norm", before))) < close);
          CHECK(distance(values_of(mid), sum_of(before, at("attn_out"))) < close);
          CHECK(distance(values_of(at("mlp_out")), thought(at("attn_in"))) < close);
          CHECK(distance(values_of(post), sum_of(mid, at("mlp_out"))) < close);
        }
        const Tensor hidden = world.seen.at("hidden"), logits = world.seen.at("logits");
        CHECK(distance(values_of(hidden), values_of(world.model->final_norm->forward(post))) < close);
        CHECK(logits.shape == Shape{3, 6, 11});
        CHECK(distance(values_of(logits), values_of(linear(hidden, world.model->unembed, {}))) < close);
        CHECK(distance(values_of(logits), values_of(world.model->forward(world.ids(3, 6), 3))) < close);
      }
    }
  }
  CHECK(shown >= 40);  // those of this project do, in each block, fused and plain
}

TEST_CASE("the model's logits are made when a probe asks, once a window", "[probes]") {
  World world({.layers = 1});
  const auto ids = world.ids(1, 5);
  const Tape::Scope scope(world.tape);
  const Tensor expected = world.model->forward(ids, 1);
  const Listener listener;
  world.model->hidden(ids, 1);
  CHECK_FALSE(listener.seen().contains("logits"));
  const TextObservation text({*world.model, world.parameters}, listener.seen(), listener.absent(), true);
  CHECK(text.hidden().shape == Shape{5, 4});
  const Tensor logits = text.logits();
  CHECK(logits.shape == Shape{5, 11});
  CHECK(distance(values_of(logits), values_of(expected)) == 0);
  CHECK(text.logits().data == logits.data);
  CHECK(text.missing().empty());
  const std::map<std::string, Tensor> nothing;
  const TextObservation blind({*world.model, world.parameters}, nothing, listener.absent(), true);
  CHECK(blind.logits().size() == 0);
  CHECK(blind.hidden().size() == 0);
  CHECK(blind.missing().size() == 2);
}

TEST_CASE("nobody's numbers change because somebody looks", "[probes]") {
  for (const std::string& name : Registry<Attention>::names()) {
    INFO(name);
    std::vector<std::vector<Real>> logits, gradients;
    for (const bool look : {false, true}) {
      World world({.layers = 2, .heads = 2, .context = 70, .attention = name});
      world.tape.settings.training = true;
      world.config.dropout = 0.1;
      Transformer model(Builder(world.parameters, world.gradients.data()), world.config);
      const auto ids = world.ids(2, 70);
      const Tape::Scope scope(world.tape);
      const auto listener = look ? std::make_unique<Listener>() : nullptr;
      const Tensor y = model.forward(ids, 2);
      logits.push_back(values_of(y));
      world.tape.backward(cross_entropy(y, ids));
      gradients.emplace_back(world.gradients.data(), world.gradients.data() + world.gradients.size());
      if (look) CHECK(!listener->seen().empty());
    }
    CHECK(std::memcmp(logits[0].data(), logits[1].data(), logits[0].size() * sizeof(Real)) == 0);
    CHECK(std::memcmp(gradients[0].data(), gradients[1].data(), gradients[0].size() * sizeof(Real)) == 0);
  }
}

// ---- By name

TEST_CASE("probes_matching: names, patterns, lists", "[probes]") {
  const auto names = [](const std::string& patterns) {
    std::vector<std::string> list;
    for (const Probe& probe : probes_matching(patterns)) list.push_back(probe.name);
    return list;
  };
  using Names = std::vector<std::string>;
  CHECK(names("") == Names{});
  CHECK(names("qk.spectrum") == Names{"qk.spectrum"});
  const Names attention = names("attn.*");
  CHECK(attention.size() >= 4);
  for (const std::string& name : attention) CHECK(name.substr(0, 5) == "attn.");
  CHECK(std::is_sorted(attention.begin(), attention.end()));
  CHECK(names("a*.*o*il*") == Names{"attn.profile"});
  CHECK(names("*.*ntro*y") == Names{"attn.entropy"});
  CHECK(names("qk.*,attn.rho,attn.r*") ==
        Names{"qk.offsets", "qk.spectrum", "attn.rho"});  // each once, as asked for
  CHECK(names("*").size() == all_probes().size());
  CHECK(names("update.ratio,grad.norm") == Names{"update.ratio", "grad.norm"});
  check_throws([&] { names("attn.entropi"); }, {"no probe attn.entropi", "attn.entropy"});
  check_throws([&] { names("attn.rho,nothing.*"); }, {"no probe nothing.*"});
  check_throws([&] { names("attn"); }, {"no probe attn"});
  for (const Probe& probe : all_probes()) {
    CHECK(!probe.shape.empty());
    CHECK(!probe.meaning.empty());
    CHECK(std::ranges::count(all_probes(), probe.name, &Probe::name) == 1);
  }
}

TEST_CASE("the README's probe, tests/readme_probe.cpp, is found and reads the right number", "[probes]") {
  World world({.channels = 2});
  world.show("resid_post", {2, 2, 2}, {3, 4, 0, 0, 6, 8, 0, -1});
  for (const Probe& probe : probes_matching("resid.*")) {
    if (probe.name != "resid.norm") continue;
    const Reading r = world.read(probe);
    REQUIRE(r.scalars.size() == 1);
    CHECK(value(r, 0, -1, "norm") == 4);
    return;
  }
  FAIL("no probe resid.norm");
}

}  // namespace
}  // namespace ef
