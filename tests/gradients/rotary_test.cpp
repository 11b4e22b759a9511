// Rotary positions: logits by offset, spectra by offset, and what does not change when text is moved.
#include <set>

#include "models/probes/probes.h"
#include "models/transformer.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

struct Model {
  ModelConfig config;
  Parameters parameters;
  std::unique_ptr<Transformer> transformer;
  Tape tape;

  explicit Model(const std::string& attention = "rotary", bool bias = false, Index channels = 12,
                 Index heads = 2) {
    config.vocab = 9;
    config.context = 16;
    config.layers = 1;
    config.heads = heads;
    config.channels = channels;
    config.ffn = 8;
    config.bias = bias;
    config.norm = "none";
    config.attention = attention;
    config.positions = "none";
    config.options.set("rotary-base", 50);
    const Transformer declare(Builder(parameters, nullptr), config);
    parameters.allocate();
    for (const Parameter& p : parameters.list()) {
      const Leaf noise(p.shape, static_cast<std::uint64_t>(p.offset) + 3);
      std::copy(noise.values.begin(), noise.values.end(), parameters.values() + p.offset);
    }
    transformer = std::make_unique<Transformer>(Builder(parameters, nullptr), config);
  }

  // What a point of the first block shows for these ids, as numbers.
  std::vector<Real> see(const std::vector<std::int32_t>& ids, const std::string& point) {
    const Tape::Scope scope(tape);
    tape.reset();
    tape.recording = false;
    const Listener listener;
    transformer->hidden(ids, 1);
    const Tensor x = listener.seen().at("blocks.0." + point);
    return {x.data, x.data + x.size()};
  }
};

const std::vector<std::int32_t> ids = {3, 1, 4, 1, 5, 8, 2, 6, 5, 3, 5};

}  // namespace

TEST_CASE("rotary: logits are the product at the offset of query and key", "[rotary]") {
  Model model;
  const auto tokens = static_cast<Index>(ids.size());
  const std::vector<Real> x = model.see(ids, "attn_in"), logits = model.see(ids, "attn.logits");
  const std::vector<QKProduct> heads = model.transformer->qk();
  REQUIRE(heads.size() == 2);
  for (const QKProduct& w : heads) {
    CHECK(w.frequencies.size() == 3);
    CHECK(w.frequencies[0] == 1);
    CHECK(w.frequencies[2] == Approx(std::pow(50, -4.0 / 6)));
    for (Index n = 0; n < tokens; ++n) {
      for (Index t = 0; t <= n; ++t) {
        const QKProduct at = w.at_offset(n - t);
        double expected = 0;  // x_n W x_t^T, formed in full
        for (Index i = 0; i < at.rank(); ++i) {
          double q = 0, k = 0;
          for (Index c = 0; c < at.width(); ++c) {
            q += at.query.data[i * at.width() + c] * x[n * at.width() + c];
            k += at.key.data[i * at.width() + c] * x[t * at.width() + c];
          }
          expected += q * k;
        }
        CHECK(logits[(w.head * tokens + n) * tokens + t] ==
              Approx(w.logit_scale * expected).epsilon(1e-10).margin(1e-12));
      }
    }
  }
}

TEST_CASE("rotary: spectra by offset", "[rotary]") {
  const Model model;
  const QKProduct w = model.transformer->qk().at(1);
  const QKProduct at_0 = w.at_offset(0), at_3 = w.at_offset(3);
  CHECK(at_0.trace() == Approx(w.trace()));
  CHECK(at_3.trace() != Approx(w.trace()));
  // Turning keeps lengths: the Frobenius norm of W changes only by how the planes of keys are mixed.
  double squares = 0, turned = 0;
  for (Index i = 0; i < w.query.size(); ++i) {
    squares += w.query.data[i] * w.query.data[i];
    turned += at_3.query.data[i] * at_3.query.data[i];
  }
  CHECK(turned == Approx(squares));
  // tr W(offset) = sum over planes of cos(angle) (<qa, ka> + <qb, kb>) + sin(angle) (<qa, kb> - <qb, ka>)
  double expected = 0;
  const Index d = w.width(), half = w.rank() / 2;
  const auto row = [&](const Tensor& a, Index i, const Tensor& b, Index j) {
    double total = 0;
    for (Index c = 0; c < d; ++c) total += a.data[i * d + c] * b.data[j * d + c];
    return total;
  };
  for (Index i = 0; i < half; ++i) {
    const double angle = 3 * w.frequencies[i];
    expected += std::cos(angle) * (row(w.query, i, w.key, i) + row(w.query, i + half, w.key, i + half)) +
                std::sin(angle) * (row(w.query, i, w.key, i + half) - row(w.query, i + half, w.key, i));
  }
  CHECK(at_3.trace() == Approx(expected));
  CHECK(contains(w.describe(), "offset 0"));
  // The probe reads powers of two below the context, of each head.
  const std::vector<Probe> probes = probes_matching("qk.offsets");
  REQUIRE(probes.size() == 1);
  Reading reading, of_softmax;
  probes[0].read_weights({*model.transformer, model.parameters}, reading);
  std::set<std::string> keys;
  for (const Reading::Scalar& s : reading.scalars) {
    keys.insert(s.key);
    if (s.head == 1 && s.key == "trace_8") CHECK(s.value == Approx(w.at_offset(8).trace()));
    if (s.head == 1 && s.key == "localisation_0")
      CHECK(s.value == Approx(w.trace() / std::sqrt(6 * w.frobenius_square())));
  }
  CHECK(keys.size() == 10);  // offsets 0, 1, 2, 4, 8 of a context of 16
  std::set<std::string> declared;
  for (const Quantity& quantity : probes[0].quantities) declared.insert(quantity.key);
  CHECK(std::includes(declared.begin(), declared.end(), keys.begin(), keys.end()));
  const Model softmax("softmax");
  probes[0].read_weights({*softmax.transformer, softmax.parameters}, of_softmax);
  CHECK(of_softmax.scalars.empty());
  REQUIRE(of_softmax.missing.size() == 1);
  CHECK(contains(*of_softmax.missing.begin(), "the same at every offset"));
}

TEST_CASE("rotary with no other positions: moved text has the same logits; softmax does not see order",
          "[rotary]") {
  Model model;
  const auto tokens = static_cast<Index>(ids.size());
  const std::vector<Real> whole = model.see(ids, "attn.logits");
  const std::vector<std::int32_t> tail(ids.begin() + 4, ids.end());
  const std::vector<Real> moved = model.see(tail, "attn.logits");
  const Index left = tokens - 4;
  for (Index head = 0; head < 2; ++head)
    for (Index n = 0; n < left; ++n)
      for (Index t = 0; t <= n; ++t)
        CHECK(moved[(head * left + n) * left + t] ==
              Approx(whole[(head * tokens + n + 4) * tokens + t + 4]).epsilon(1e-9).margin(1e-11));
  // The last token of "a b c" and of "b a c" has the same set before it: alike without positions, not with.
  for (const char* attention : {"softmax", "rotary"}) {
    Model either(attention);
    const auto last = [&](const std::vector<std::int32_t>& text) {
      std::vector<Real> x = either.see(text, "resid_post");
      x.erase(x.begin(), x.end() - either.config.channels);
      return x;
    };
    INFO(attention);
    CHECK((distance(last({1, 2, 3}), last({2, 1, 3})) < 1e-12) == (std::string(attention) == "softmax"));
  }
}

TEST_CASE("rotary: heads of an odd number of channels are an error, of one token nothing is turned",
          "[rotary]") {
  check_throws([] { Model("rotary", false, 6, 2); }, {"rotary", "got 3", "even"});
  Model rotary, softmax("softmax");
  CHECK(rotary.see({4}, "resid_post") == softmax.see({4}, "resid_post"));
}
