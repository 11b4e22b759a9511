// Known answers for the rivals of models/attention/, each alone as one layer. (Their gradients inside of
// whole models are checked in model_test.cpp.)
#include <algorithm>
#include <numeric>

#include "engine/gradcheck.h"
#include "engine/lapack.h"
#include "models/transformer.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Values = std::vector<Real>;

ModelConfig small() {
  ModelConfig config;
  config.heads = 2;
  config.channels = 8;
  return config;
}

// An attention layer with parameters of its own. Siblings made with equal seeds have equal q, k, v and out.
struct Layer {
  ModelConfig config;
  Parameters parameters;
  Buffer gradients;
  std::unique_ptr<Attention> attention;

  explicit Layer(const std::string& name, const ModelConfig& c = small(), std::uint64_t seed = 1)
      : config(c) {
    Registry<Attention>::make(name, Builder(parameters, nullptr) / "attn", config);
    parameters.allocate();
    parameters.initialise(seed);
    gradients = Buffer(parameters.flat_size());
    attention = Registry<Attention>::make(name, Builder(parameters, gradients.data()) / "attn", config);
    for (const char* weight : {"q.weight", "k.weight", "v.weight", "out.weight"}) multiply(weight, 25);
    attention->start({7, stream_of(Purpose::test), 1});
  }

  Tensor at(const std::string& path) { return parameters.at("attn." + path, gradients.data()); }
  Values values(const std::string& path) { return values_of(at(path)); }
  Values gradient(const std::string& path) {
    const Tensor x = at(path);
    return {x.grad + 0, x.grad + x.size()};
  }
  void multiply(const std::string& path, Real factor) {
    const Tensor x = at(path);
    for (Index i = 0; i < x.size(); ++i) x.data[i] *= factor;
  }
  void fill(const std::string& path, Real value) { std::fill_n(at(path).data, at(path).size(), value); }
};

struct Result {
  Values y, q, k, pattern;
  double loss = 0;
};

// The forward, and the backward of <y, random numbers> with the penalties, on a tape of its own.
Result run(Layer& layer, const Tensor& x, double share = 1, std::uint64_t seed = 50) {
  Tape tape;
  tape.settings.share = share;
  const Tape::Scope scope(tape);
  const Listener listener;
  Leaf direction(x.shape, seed);
  const Tensor y = layer.attention->forward(x);
  const Tensor loss = tape.with_penalties(sum(mul(y, direction.constant())));
  tape.backward(loss);
  const auto seen = [&](const char* point) {
    return values_of(listener.seen().at(std::string("attn.") + point));
  };
  return {values_of(y), seen("q"), seen("k"), seen("pattern"), static_cast<double>(loss.data[0])};
}

Leaf some_tokens(Index batch = 2, Index tokens = 5) { return Leaf({batch, tokens, small().channels}, 9); }

// Calls visit(b, h, i, t) for the entries of a pattern that are not in the future.
template <class Visit>
void each_entry(Index batch, Index heads, Index tokens, Visit visit) {
  for (Index b = 0; b < batch; ++b)
    for (Index h = 0; h < heads; ++h)
      for (Index i = 0; i < tokens; ++i)
        for (Index t = 0; t <= i; ++t) visit(b, h, i, t);
}

// log p_it - log p_i0, which is the difference of logits s_it - s_i0, for all entries of a pattern.
Values logit_differences(const Values& pattern, Index batch = 2, Index heads = 2, Index tokens = 5) {
  Values differences;
  each_entry(batch, heads, tokens, [&](Index b, Index h, Index i, Index t) {
    const Real* row = pattern.data() + ((b * heads + h) * tokens + i) * tokens;
    differences.push_back(std::log(row[t]) - std::log(row[0]));
  });
  return differences;
}

double largest_size(const Values& x) { return distance(x, Values(x.size(), 0)); }

// a [m, k] times b^T, b [n, k]
Values times_transposed(const Values& a, const Values& b, Index k) {
  Values product;
  for (std::size_t i = 0; i < a.size(); i += static_cast<std::size_t>(k)) {
    for (std::size_t j = 0; j < b.size(); j += static_cast<std::size_t>(k)) {
      product.push_back(std::inner_product(&a[i], &a[i] + k, &b[j], Real(0)));
    }
  }
  return product;
}

const std::vector<std::string> paths = {"q", "k", "v", "out"};

// ---- All of them

TEST_CASE("qk() and the pattern agree wherever nothing is left out", "[rivals]") {
  ModelConfig config = small();
  config.bias = false;
  config.options.set("temperature", 1.7);
  const Index c = config.channels, d = c / config.heads;
  for (const char* name : {"softmax", "temperature", "sigma-reparam", "spectral-norm", "mimetic",
                           "trace-start", "entropy", "gated", "grouped-query"}) {
    INFO(name);
    Layer layer(name, config);
    layer.multiply("q.weight", Real(1.3));
    if (std::string(name) == "sigma-reparam") layer.fill("k.gamma", Real(2.5));
    Leaf x = some_tokens();
    const Values differences = logit_differences(run(layer, x.constant()).pattern);
    const std::vector<QKProduct> products = layer.attention->qk();
    REQUIRE(products.size() == 2);
    Values expected;
    each_entry(2, 2, 5, [&](Index b, Index h, Index i, Index t) {
      const QKProduct& product = products[h];
      CHECK(product.left_out == "the norm's gain before");
      const auto logit = [&](Index key_token) {
        double total = 0;  // <W_Q^T x_i, W_K^T x_t>
        for (Index r = 0; r < d; ++r) {
          double asked = 0, offered = 0;
          for (Index j = 0; j < c; ++j) {
            asked += product.query.data[r * c + j] * x.values[(b * 5 + i) * c + j];
            offered += product.key.data[r * c + j] * x.values[(b * 5 + key_token) * c + j];
          }
          total += asked * offered;
        }
        return product.logit_scale * product.factor * total;
      };
      expected.push_back(Real(logit(t) - logit(0)));
    });
    CHECK(largest_size(expected) > 0.5);
    CHECK(distance(differences, expected) < 1e-9);
  }
}

TEST_CASE("readings of a product with a factor are those of the matrix that the layer multiplies with",
          "[rivals]") {
  const Index c = small().channels, d = c / small().heads;
  for (const char* name : {"sigma-reparam", "spectral-norm"}) {
    INFO(name);
    Layer layer(name);
    if (std::string(name) == "sigma-reparam") layer.fill("q.gamma", Real(2.5));
    Index head = 0;
    for (const QKProduct& product : layer.attention->qk()) {
      REQUIRE(std::fabs(product.factor - 1) > 0.01);
      // The weights as the layer uses them: theirs over their spectral norm, times gamma.
      double scale = 1;
      for (const char* weight : {"q", "k"})
        scale *= values_of(layer.at(std::string(weight) + ".gamma"))[0] /
                 lapack::singular_values(layer.values(std::string(weight) + ".weight"), c, c)[0];
      const Values q = layer.values("q.weight"), k = layer.values("k.weight");
      double trace = 0, square = 0, frobenius = 0;
      const auto entry = [&](Index i, Index j) {
        double sum = 0;
        for (Index r = head * d; r < (head + 1) * d; ++r) sum += q[r * c + i] * k[r * c + j];
        return scale * sum;
      };
      for (Index i = 0; i < c; ++i) {
        trace += entry(i, i);
        for (Index j = 0; j < c; ++j) {
          frobenius += entry(i, j) * entry(i, j);
          square += entry(i, j) * entry(j, i);
        }
      }
      CHECK(product.frobenius_square() == Approx(frobenius).epsilon(1e-4));  // sigma is by power iteration
      CHECK(product.trace() == Approx(trace).epsilon(1e-4));
      CHECK(product.trace_square() == Approx(square).epsilon(1e-4));
      const Values singular = product.singular_values();
      CHECK(std::inner_product(singular.begin(), singular.end(), singular.begin(), 0.0) ==
            Approx(product.frobenius_square()).epsilon(1e-12));
      CHECK(product.spectrum().frobenius_square == product.frobenius_square());
      ++head;
    }
  }
}

TEST_CASE("qk() says what it leaves out", "[rivals]") {
  const auto left_out = [](const char* name) { return Layer(name).attention->qk().at(1).left_out; };
  CHECK(left_out("qk-layer-norm") == "the LayerNorm of q and k, biases, and the norm's gain before");
  CHECK(left_out("qk-rms-norm") == "the RMSNorm of q and k, biases, and the norm's gain before");
  CHECK(left_out("softcap") == "the soft cap, biases, and the norm's gain before");
}

TEST_CASE("a rival refuses settings that make no sense", "[rivals]") {
  ModelConfig config = small();
  config.options.set("temperature", 0);
  check_throws([&] { Layer("temperature", config); }, {"temperature", "above 0"});
  config.options.set("softcap", -1);
  check_throws([&] { Layer("softcap", config); }, {"softcap", "above 0"});
}

// ---- sigma-reparam and spectral-norm

TEST_CASE("sigma-reparam: effective weights have the spectral norm gamma", "[rivals]") {
  Layer layer("sigma-reparam");
  const Index c = layer.config.channels;
  const Real gammas[] = {Real(0.5), 2, Real(1.5), 3};
  for (std::size_t i = 0; i < 4; ++i) layer.fill(paths[i] + ".gamma", gammas[i]);
  const auto norm_of = [&](const Values& w) { return lapack::singular_values(w, c, c).front(); };
  // Each token one axis: q and k are the transposed weights.
  Leaf axes({c, 1, c}, Values(c * c));
  for (Index i = 0; i < c; ++i) axes.values[i * (c + 1)] = 1;

  const Result started = run(layer, axes.constant());
  CHECK(norm_of(started.q) == Approx(0.5).epsilon(1e-3));  // after start() alone
  CHECK(norm_of(started.k) == Approx(2).epsilon(1e-3));

  for (const std::string& path : paths) layer.multiply(path + ".weight", Real(0.1));
  layer.at("q.weight").data[3] += 5;  // the leading vectors are others now
  for (int i = 0; i < 2000; ++i) layer.attention->prepare();
  const Result later = run(layer, axes.constant());
  CHECK(norm_of(later.q) == Approx(0.5).epsilon(1e-10));
  CHECK(norm_of(later.k) == Approx(2).epsilon(1e-10));
  // A sequence of one token attends to itself: y = x W^_V^T W^_out^T.
  const Values v = layer.values("v.weight"), out = layer.values("out.weight");
  Values expected = times_transposed(times_transposed(axes.values, v, c), out, c);
  for (Real& y : expected) y *= Real(1.5) / norm_of(v) * (3 / norm_of(out));
  CHECK(distance(later.y, expected) < 1e-9);
}

TEST_CASE("sigma-reparam: biases stay as they are", "[rivals]") {
  Layer layer("sigma-reparam");
  layer.fill("q.bias", Real(0.3));
  layer.fill("out.bias", Real(0.7));
  Leaf nothing({1, 2, layer.config.channels}, Values(16));
  const Result result = run(layer, nothing.constant());
  CHECK(result.q == Values(16, Real(0.3)));
  CHECK(result.y == Values(16, Real(0.7)));
}

TEST_CASE("state moves in prepare() and nowhere else, and gets no gradient", "[rivals]") {
  for (const char* name : {"sigma-reparam", "spectral-norm"}) {
    INFO(name);
    Layer layer(name);
    layer.multiply("q.weight", 3);
    layer.at("q.weight").data[3] += 5;  // so that there is a step to go
    const Values before(layer.parameters.values(), layer.parameters.values() + layer.parameters.flat_size());
    Leaf x = some_tokens();
    const Values y = run(layer, x.tensor()).y;
    CHECK(run(layer, x.tensor()).y == y);
    const Values after(layer.parameters.values(), layer.parameters.values() + layer.parameters.flat_size());
    CHECK(after == before);

    Index states = 0, trained = 0;
    for (const Parameter& p : layer.parameters.list()) {
      const std::string end = p.path.substr(p.path.rfind('.'));
      const bool frozen_gamma = end == ".gamma" && std::string(name) == "spectral-norm";
      INFO(p.path);
      CHECK(p.trained == !(end == ".u" || end == ".v" || frozen_gamma));
      const Real* g = layer.gradients.data() + p.offset;
      const double size = largest_size({g, g + p.shape.size()});
      if (p.trained) {
        trained += p.shape.size();
        if (p.path != "attn.k.bias") CHECK(size > 1e-6);  // which shifts all logits of a row
      } else {
        ++states;
        CHECK(size == 0);
        CHECK(layer.parameters.at(p.path, layer.gradients.data()).grad == nullptr);
      }
    }
    CHECK(states == (std::string(name) == "spectral-norm" ? 12 : 8));
    CHECK(layer.parameters.count() == trained);

    const Values u = layer.values("q.u"), v = layer.values("q.v"), w = layer.values("q.weight");
    layer.attention->prepare();
    CHECK(distance(layer.values("q.u"), u) > 1e-6);
    CHECK(distance(layer.values("q.v"), v) > 1e-6);
    CHECK(layer.values("q.weight") == w);
  }
}

TEST_CASE("spectral-norm is sigma-reparam while gamma is 1", "[rivals]") {
  Layer trained("sigma-reparam"), frozen("spectral-norm");
  Leaf x = some_tokens();
  CHECK(run(trained, x.constant()).y == run(frozen, x.constant()).y);
  CHECK(trained.gradient("q.weight") == frozen.gradient("q.weight"));
}

// ---- qk-layer-norm and qk-rms-norm

TEST_CASE("norms of q and k make the pattern independent of the size of W_Q and W_K", "[rivals]") {
  const auto change = [](const char* name) {
    Layer layer(name);
    Leaf x = some_tokens();
    const Values before = run(layer, x.constant()).pattern;
    layer.multiply("q.weight", 7);
    layer.multiply("k.weight", Real(0.4));
    return distance(run(layer, x.constant()).pattern, before);
  };
  CHECK(change("qk-layer-norm") < 1e-5);  // epsilon = 1e-6 is seen
  CHECK(change("qk-rms-norm") < 1e-5);
  CHECK(change("softmax") > 0.1);
}

TEST_CASE("norms of q and k are per head, with a gain", "[rivals]") {
  for (const char* name : {"qk-layer-norm", "qk-rms-norm"}) {
    INFO(name);
    Layer layer(name);
    layer.fill("q_norm.weight", 3);
    Leaf x = some_tokens();
    const Values q = run(layer, x.constant()).q;
    for (std::size_t head = 0; head < q.size(); head += 4) {
      const double mean = std::accumulate(&q[head], &q[head] + 4, 0.0) / 4;
      const double square = std::inner_product(&q[head], &q[head] + 4, &q[head], 0.0) / 4;
      CHECK(square == Approx(9).epsilon(1e-3));
      CHECK((std::fabs(mean) < 1e-12) == (std::string(name) == "qk-layer-norm"));
    }
    CHECK(largest_size(layer.gradient("q_norm.weight")) > 1e-3);
    CHECK(largest_size(layer.gradient("k_norm.weight")) > 1e-3);
  }
  ModelConfig config = small();
  config.bias = false;
  check_throws([&] { Layer("qk-layer-norm", config).at("q_norm.bias"); }, {"no parameter"});
}

// ---- temperature, softcap, entropy

TEST_CASE("temperature 1 is softmax bit for bit, 2 halves the logits", "[rivals]") {
  ModelConfig config = small();
  Leaf x = some_tokens();
  Layer softmax("softmax", config), one("temperature", config);
  const Result a = run(softmax, x.constant()), b = run(one, x.constant());
  CHECK(a.y == b.y);
  CHECK(a.pattern == b.pattern);
  CHECK(softmax.gradient("q.weight") == one.gradient("q.weight"));

  config.options.set("temperature", 2);
  Layer two("temperature", config);
  Values half = logit_differences(a.pattern);
  for (Real& s : half) s /= 2;
  CHECK(distance(logit_differences(run(two, x.constant()).pattern), half) < 1e-12);
  CHECK(two.attention->qk()[0].logit_scale == softmax.attention->qk()[0].logit_scale / 2);
}

TEST_CASE("softcap bounds the logits", "[rivals]") {
  ModelConfig config = small();
  config.options.set("softcap", 1.5);
  Layer layer("softcap", config);
  layer.multiply("q.weight", 10);
  Leaf x = some_tokens();
  const Result result = run(layer, x.constant());
  Values expected;
  double largest_raw = 0;
  each_entry(2, 2, 5, [&](Index b, Index h, Index i, Index t) {
    const auto capped = [&](Index token) {
      const Real* q = &result.q[(b * 5 + i) * 8 + h * 4];
      const double raw = std::inner_product(q, q + 4, &result.k[(b * 5 + token) * 8 + h * 4], 0.0) / 2;
      largest_raw = std::max(largest_raw, std::fabs(raw));
      return 1.5 * std::tanh(raw / 1.5);
    };
    expected.push_back(Real(capped(t) - capped(0)));
  });
  CHECK(distance(logit_differences(result.pattern), expected) < 1e-12);
  CHECK(largest_raw > 10);
  CHECK(largest_size(expected) <= 3);
  CHECK(largest_size(expected) > 2);
}

TEST_CASE("softcap with a huge cap, and entropy with strength 0, are softmax", "[rivals]") {
  ModelConfig config = small();
  config.options.set("softcap", 1e6);
  config.options.set("entropy-reward", 0);
  Leaf x = some_tokens(2, 70);  // longer than the fused op's blocks
  Layer softmax("softmax", config), softcap("softcap", config), entropy("entropy", config);
  const Result expected = run(softmax, x.constant());
  const auto compare = [&](Layer& layer, double tolerance) {
    const Result result = run(layer, x.constant());
    CHECK(result.loss == Approx(expected.loss).epsilon(tolerance));
    CHECK(distance(result.y, expected.y) < tolerance);
    CHECK(distance(result.q, expected.q) < tolerance);
    CHECK(distance(result.k, expected.k) < tolerance);
    CHECK(distance(result.pattern, expected.pattern) < tolerance);
    for (const std::string& path : paths) {
      INFO(path);
      // Gradients are sums over 140 tokens.
      CHECK(distance(layer.gradient(path + ".weight"), softmax.gradient(path + ".weight")) < 100 * tolerance);
      CHECK(distance(layer.gradient(path + ".bias"), softmax.gradient(path + ".bias")) < 100 * tolerance);
    }
  };
  compare(softcap, 1e-9);
  compare(entropy, 1e-12);
}

TEST_CASE("entropy: the penalty is the mean entropy of the pattern's rows, rewarded", "[rivals]") {
  ModelConfig config = small();
  config.options.set("entropy-reward", 0);
  Layer without("entropy", config);
  config.options.set("entropy-reward", 0.8);
  Layer with("entropy", config);
  Leaf x = some_tokens();
  const double loss = run(without, x.constant()).loss;
  const Result result = run(with, x.constant());
  double total = 0;
  for (Real p : result.pattern) total -= p > 0 ? p * std::log(p) : 0;
  CHECK(total / 20 > 0.3);
  CHECK(result.loss == Approx(loss - 0.8 * total / 20).epsilon(1e-12));
  CHECK(distance(with.gradient("q.weight"), without.gradient("q.weight")) > 1e-3);
  CHECK(distance(with.gradient("v.weight"), without.gradient("v.weight")) < 1e-13);

  const GradcheckVerdict verdict = gradcheck(
      [&](const std::vector<Tensor>& in) {
        return Tape::current().with_penalties(sum(with.attention->forward(in[0])));
      },
      {random_input({2, 4, 8}, 3)});
  INFO(verdict.message);
  CHECK(verdict.ok);
}

TEST_CASE("mean_entropy of 0, of certainty, of ignorance and of NaN", "[rivals]") {
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf certain({2, 3}, {0, 1, 0, 1, 0, 0}), uniform({1, 4}, Values(4, Real(0.25))), broken({2}, {NAN, 1});
  const Tensor y = mean_entropy(certain.tensor());
  CHECK(y.data[0] == 0);
  tape.backward(y);
  CHECK(certain.gradient == Values{0, Real(-0.5), 0, Real(-0.5), 0, 0});
  CHECK(mean_entropy(uniform.tensor()).data[0] == Approx(std::log(4.0)).epsilon(1e-14));
  CHECK(std::isnan(mean_entropy(broken.tensor()).data[0]));
  Leaf empty({0, 3}, Values{});
  check_throws([&] { mean_entropy(empty.tensor()); }, {"mean_entropy", "at least 1"});
}

// ---- Penalties on the tape

TEST_CASE("penalties of a divided batch add up to those of the whole", "[rivals]") {
  Leaf x = some_tokens(3);
  Layer whole("entropy"), parts("entropy");
  const double expected = run(whole, x.tensor()).loss;

  // The same numbers for each part as in the whole, so that only the penalties could differ.
  const Index sequence = 5 * 8;
  const auto part = [&](Index first, Index count) {
    Tape tape;
    tape.settings.share = static_cast<double>(count) / 3;
    const Tape::Scope scope(tape);
    Leaf direction({3, 5, 8}, 50);
    Tensor inputs = x.constant(), weights = direction.constant();
    for (Tensor* t : {&inputs, &weights}) {
      t->shape[0] = count;
      t->data += first * sequence;
    }
    const Tensor loss = tape.with_penalties(sum(mul(parts.attention->forward(inputs), weights)));
    tape.backward(loss);
    return static_cast<double>(loss.data[0]);
  };
  CHECK(part(0, 2) + part(2, 1) == Approx(expected).epsilon(1e-13));
  for (const std::string& path : paths) {
    CHECK(distance(parts.gradient(path + ".weight"), whole.gradient(path + ".weight")) < 1e-12);
  }
}

TEST_CASE("the tape keeps penalties while it trains, until it is reset", "[rivals]") {
  Tape tape;
  const Tape::Scope scope(tape);
  Leaf a({1}, Values{2}), b({1}, Values{3}), c({1}, Values{5});
  CHECK(tape.with_penalties(a.tensor()).data == a.values.data());
  tape.add_penalty(b.tensor());
  tape.add_penalty(c.tensor());
  tape.settings.share = 0.25;
  const Tensor total = tape.with_penalties(a.tensor());
  CHECK(total.data[0] == 4);
  tape.backward(total);
  CHECK(a.gradient == Values{1});
  CHECK(b.gradient == Values{Real(0.25)});
  CHECK(c.gradient == Values{Real(0.25)});

  tape.reset();
  tape.settings.training = false;
  tape.add_penalty(b.tensor());
  tape.settings.training = true;
  tape.recording = false;
  tape.add_penalty(b.tensor());
  tape.recording = true;
  CHECK(tape.with_penalties(a.tensor()).data == a.values.data());
  Leaf wide({2}, {1, 2});
  check_throws([&] { tape.add_penalty(wide.tensor()); }, {"add_penalty", "[2]", "[1]"});
}

// ---- mimetic

TEST_CASE("mimetic: W_Q W_K^T is the best product of rank D for 0.7 (Z + I)", "[rivals]") {
  ModelConfig config;
  config.heads = 4;
  config.channels = 32;
  const Index c = 32, d = 8;
  Layer layer("mimetic", config);
  const Random random{7, stream_of(Purpose::test), 1};  // as Layer gives it
  for (Index head = 0; head < 4; ++head) {
    Values wanted(c * c), rest = wanted;
    double trace = 0, squares = 0;
    const QKProduct product = layer.attention->qk()[head];
    Values made(c * c);
    for (Index i = 0; i < c; ++i) {
      for (Index j = 0; j < c; ++j) {
        const auto at = static_cast<std::size_t>(i * c + j);
        const double z = random.normal(static_cast<std::uint64_t>(head * c * c + i * c + j)) /
                         std::sqrt(static_cast<double>(c));
        wanted[at] = Real(0.7 * z + (i == j ? 0.7 : 0));
        for (Index r = 0; r < d; ++r) made[at] += product.query.data[r * c + i] * product.key.data[r * c + j];
        rest[at] = wanted[at] - made[at];
        trace += i == j ? made[at] : 0;
        squares += rest[at] * rest[at];
      }
    }
    // Eckart and Young 1936: what is left has the singular values that were cut off.
    const Values all = lapack::singular_values(wanted, c, c), kept = lapack::singular_values(made, c, c);
    double cut = 0, sum_kept = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool keep = i < static_cast<std::size_t>(d);
      CHECK(std::fabs(kept[i] - (keep ? all[i] : 0)) < 1e-12);
      cut += keep ? 0 : all[i] * all[i];
      sum_kept += kept[i];
    }
    CHECK(squares == Approx(cut).epsilon(1e-12));
    CHECK(trace > 0.3 * sum_kept);  // that of a random product would be near 0
  }
}

TEST_CASE("mimetic: the start of q and k is a function of the Random alone", "[rivals]") {
  const ModelConfig config = small();
  Layer layer("mimetic", config, 1), other_seed("mimetic", config, 2), softmax("softmax", config, 1);
  CHECK(layer.values("q.weight") == other_seed.values("q.weight"));
  CHECK(layer.values("k.weight") == other_seed.values("k.weight"));
  for (const char* path : {"v.weight", "out.weight", "q.bias"})
    CHECK(layer.values(path) == softmax.values(path));
  other_seed.attention->start({7, stream_of(Purpose::test), 2});
  CHECK(distance(layer.values("q.weight"), other_seed.values("q.weight")) > 0.1);
}

// ---- trace-start

TEST_CASE("trace-start: every head has the trace that was asked for", "[rivals]") {
  ModelConfig config = small();

  const Layer softmax("softmax", config);
  for (const double wanted : {16.0, 3.0, 0.0, -16.0}) {
    INFO(wanted);
    config.options.set("start-trace", wanted);
    Layer layer("trace-start", config);
    for (Index head = 0; head < 2; ++head) {
      const QKProduct now = layer.attention->qk()[head];
      const QKProduct before = softmax.attention->qk()[head];
      CHECK(std::fabs(now.trace() - wanted) < 1e-12);
      // One step along the gradient, the same for both; the shorter one of the two that lead there.
      const double step = (now.query.data[0] - before.query.data[0]) / before.key.data[0];
      double squares = 0;
      for (Index i = 0; i < now.query.size(); ++i) {
        const double q = before.query.data[i], k = before.key.data[i];
        CHECK(std::fabs(now.query.data[i] - (q + step * k)) < 1e-12);
        CHECK(std::fabs(now.key.data[i] - (k + step * q)) < 1e-12);
        squares += q * q + k * k;
      }
      CHECK(std::fabs(step) < squares / (2 * std::fabs(before.trace())));
    }
  }
}

TEST_CASE("trace-start: nothing but the start of q and k differs from softmax", "[rivals]") {
  Layer layer("trace-start"), softmax("softmax");
  for (const char* path : {"v.weight", "out.weight", "q.bias", "k.bias", "v.bias", "out.bias"})
    CHECK(layer.values(path) == softmax.values(path));
  for (const char* path : {"q.weight", "k.weight"}) {
    CHECK(distance(layer.values(path), softmax.values(path)) > 0.1);
    std::ranges::copy(layer.values(path), softmax.at(path).data);
  }
  Leaf x = some_tokens();
  CHECK(run(layer, x.constant()).y == run(softmax, x.constant()).y);
  for (const char* path : {"q.weight", "k.weight", "v.weight", "out.weight"})
    CHECK(layer.gradient(path) == softmax.gradient(path));
}

TEST_CASE("trace-start: a head that is orthogonal to begin with; traces out of reach", "[rivals]") {
  ModelConfig config = small();
  config.heads = 1;
  Layer layer("trace-start", config);
  const auto start_from = [&](Real query, Real key) {
    layer.fill("q.weight", 0);
    layer.fill("k.weight", 0);
    layer.at("q.weight").data[0] = query;
    layer.at("k.weight").data[0] = key;
    layer.at("k.weight").data[1] = 2;
    layer.attention->start({7, stream_of(Purpose::test), 1});
    return layer.attention->qk()[0].trace();
  };
  CHECK(start_from(1, 0) == Approx(16).epsilon(1e-14));  // t = 0: the equation is linear
  // t = -1, n = 6: at most -1 + 36 / 4 = 8
  check_throws([&] { start_from(-1, 1); }, {"start trace", "head 0", "16", "at most 8", "--start-trace"});
  config.options.set("start-trace", -16);
  Layer negative("trace-start", config);
  negative.fill("q.weight", 1);
  negative.fill("k.weight", 1);  // t = n / 2 = 64: W_Q = W_K has no negative trace along this line
  check_throws([&] { negative.attention->start({}); }, {"start trace", "at least 0"});
  negative.fill("q.weight", 0);
  negative.fill("k.weight", 0);
  check_throws([&] { negative.attention->start({}); }, {"start trace", "all zero"});
  config.options.set("start-trace", std::nan(""));
  check_throws([&] { Layer("trace-start", config); }, {"--start-trace", "a number"});
}

TEST_CASE("what divides by a spectral norm refuses weights of zero at the start", "[rivals]") {
  for (const char* name : {"sigma-reparam", "spectral-norm"}) {
    Layer layer(name);
    layer.fill("out.weight", 0);
    check_throws([&] { layer.attention->start({}); },
                 {"spectral norm of attn.out.weight", "above 0", "--init"});
  }
}

// ---- linear

TEST_CASE("linear: features over their sum, as sums that are carried along have it", "[rivals]") {
  Layer layer("linear");
  Leaf x = some_tokens();
  const Result result = run(layer, x.constant());
  const Values v = [&] {
    Values all = times_transposed(x.values, layer.values("v.weight"), 8);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] += layer.values("v.bias")[i % 8];
    return all;
  }();
  const auto feature = [](Real q) { return q > 0 ? q + 1 : std::exp(q); };
  Values z(2 * 5 * 8);
  for (Index b = 0; b < 2; ++b)
    for (Index h = 0; h < 2; ++h) {
      Real memory[4][4] = {}, total[4] = {};  // sum_t phi(k_t) v_t^T, sum_t phi(k_t)
      for (Index i = 0; i < 5; ++i) {
        const Index row = (b * 5 + i) * 8 + h * 4;
        Real sum = 0, below = 0;
        for (Index c = 0; c < 4; ++c) {
          const Real phi = feature(result.k[row + c]);
          total[c] += phi;
          for (Index d = 0; d < 4; ++d) memory[c][d] += phi * v[row + d];
          below += feature(result.q[row + c]) * total[c];
        }
        for (Index d = 0; d < 4; ++d)
          for (Index c = 0; c < 4; ++c) z[row + d] += feature(result.q[row + c]) * memory[c][d] / below;
        for (Index t = 0; t < 5; ++t) sum += result.pattern[((b * 2 + h) * 5 + i) * 5 + t];
        CHECK(sum == Approx(1).epsilon(1e-5));
      }
    }
  Values expected = times_transposed(z, layer.values("out.weight"), 8);
  CHECK(largest_size(expected) > 0.5);
  CHECK(distance(result.y, expected) < 1e-4);  // their epsilon of 1e-6 is seen
  CHECK(layer.attention->qk().empty());
}

TEST_CASE("linear: says that it has no logits; features that vanish give zeros", "[rivals]") {
  Layer layer("linear");
  Tape tape;
  const Tape::Scope scope(tape);
  const Listener listener;
  Leaf x = some_tokens();
  layer.attention->forward(x.tensor());
  CHECK_FALSE(listener.seen().contains("attn.logits"));
  CHECK(listener.absent().at("attn.logits") == "linear attention forms none");
  layer.fill("q.weight", 0);
  layer.fill("q.bias", -1e4);  // e^-1e4 is 0 in double
  CHECK(run(layer, x.tensor()).y == Values(80, 0));
  CHECK(std::isfinite(largest_size(x.gradient)));
}

// ---- gated

TEST_CASE("gated: a gate a channel; open it is softmax, half open half of it", "[rivals]") {
  Layer softmax("softmax"), layer("gated");
  Leaf x = some_tokens();
  const Values whole = run(softmax, x.constant()).y;
  layer.fill("gate.weight", 0);
  layer.fill("gate.bias", 100);
  CHECK(run(layer, x.constant()).y == whole);
  layer.fill("gate.bias", 0);
  Values half = whole;
  for (Real& y : half) y /= 2;
  CHECK(distance(run(layer, x.constant()).y, half) < 1e-12);
  // Channel 3 alone.
  layer.fill("gate.bias", -1e4);
  layer.at("gate.bias").data[3] = 1e4;
  for (Index row = 0; row < 8; ++row)
    for (Index column = 0; column < 8; ++column)
      if (column != 3) softmax.at("out.weight").data[row * 8 + column] = 0;
  CHECK(distance(run(layer, x.constant()).y, run(softmax, x.constant()).y) < 1e-12);
}

// ---- grouped-query

TEST_CASE("grouped-query: as many heads of keys as of queries are softmax bit for bit", "[rivals]") {
  ModelConfig config = small();
  config.options.set("kv-heads", 2);
  Layer softmax("softmax"), grouped("grouped-query", config);
  Leaf x = some_tokens();
  CHECK(run(grouped, x.constant()).y == run(softmax, x.constant()).y);
  for (const std::string& path : paths)
    CHECK(grouped.gradient(path + ".weight") == softmax.gradient(path + ".weight"));
}

TEST_CASE("grouped-query: is softmax with heads of keys and values that are alike", "[rivals]") {
  for (const Index kv_heads : {1, 2}) {
    ModelConfig config = small();
    config.heads = 4;  // of 2 channels
    Layer softmax("softmax", config);
    config.options.set("kv-heads", kv_heads);
    Layer grouped("grouped-query", config);
    const Index numbers = kv_heads * 2 * 8, sharing = 4 / kv_heads;
    for (const char* path : {"k.weight", "v.weight"}) {
      REQUIRE(grouped.at(path).shape == Shape{kv_heads * 2, 8});
      for (Index head = 0; head < 4; ++head)
        std::copy_n(grouped.at(path).data + head / sharing * 16, 16, softmax.at(path).data + head * 16);
    }
    for (const char* path : {"q.weight", "out.weight"})
      std::copy_n(grouped.at(path).data, 64, softmax.at(path).data);
    Leaf x = some_tokens();
    const Result a = run(softmax, x.constant()), b = run(grouped, x.constant());
    CHECK(distance(a.y, b.y) < 1e-12);
    CHECK(distance(a.k, b.k) < 1e-12);
    CHECK(distance(a.pattern, b.pattern) < 1e-12);
    for (const char* path : {"k.weight", "v.weight"}) {
      Values sum(static_cast<std::size_t>(numbers), 0);
      for (Index head = 0; head < 4; ++head)
        for (Index i = 0; i < 16; ++i) sum[head / sharing * 16 + i] += softmax.gradient(path)[head * 16 + i];
      CHECK(largest_size(sum) > 1e-3);
      CHECK(distance(grouped.gradient(path), sum) < 1e-11);
    }
    const std::vector<QKProduct> products = grouped.attention->qk(), wide = softmax.attention->qk();
    REQUIRE(products.size() == 4);
    for (Index head = 0; head < 4; ++head) {
      CHECK(products[head].head == head);
      CHECK(products[head].trace() == Approx(wide[head].trace()));
      CHECK(products[head].frobenius_square() == Approx(wide[head].frobenius_square()));
      CHECK((products[head].key.data == products[head / sharing * sharing].key.data));
      CHECK((products[head].key.grad == products[head / sharing * sharing].key.grad));
    }
  }
}

TEST_CASE("grouped-query: refuses what does not divide the heads", "[rivals]") {
  ModelConfig config = small();
  for (const Index kv_heads : {3, 4}) {
    config.options.set("kv-heads", kv_heads);
    check_throws([&] { Layer("grouped-query", config); }, {"--kv-heads", "a divisor of the 2 heads"});
  }
  config.options.set("kv-heads", 0);
  check_throws([&] { Layer("grouped-query", config); }, {"--kv-heads", "at least 1"});
}

// ---- What holds for all of them

// Of this project's own: a sibling may be composed of whatever it likes.
TEST_CASE("with --plain, every attention is composed op by op", "[rivals]") {
  ModelConfig config = small();
  config.plain = true;
  for (const char* sibling : {"softmax", "temperature", "softcap", "entropy", "mimetic", "trace-start",
                              "sigma-reparam", "spectral-norm", "qk-layer-norm", "qk-rms-norm"}) {
    const std::string name = sibling;
    INFO(name);
    Layer layer(name, config);
    Leaf x = some_tokens();
    // Logits overflow, and the first op that shows it is named.
    if (name.starts_with("qk-")) {
      for (const char* gain : {"q_norm.weight", "k_norm.weight"}) layer.fill(gain, Real(1e200));
    } else {
      for (Real& value : x.values) value *= Real(1e200);
    }
    Tape tape;
    const Tape::Scope scope(tape);
    tape.check_finite = true;
    check_throws<NumericalError>([&] { layer.attention->forward(x.tensor()); }, {"in op matmul"});
  }
}

TEST_CASE("two siblings of one name are a mistake that is told", "[rivals]") {
  auto& entries = Registry<Attention>::entries();
  entries.push_back(entries.front());
  check_throws([&] { Layer layer(entries.front().name); },
               {"two siblings of attention", entries.front().name});
  entries.pop_back();
}

}  // namespace
}  // namespace ef
