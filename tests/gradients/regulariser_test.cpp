// LocAteR and its rival on the weights: values against W formed in full, gradients against central
// differences.
#include "models/regulariser.h"

#include <functional>

#include "engine/matmul/blas.h"
#include "tests/helpers.h"
#include "tests/regularisers.h"

using namespace ef;

namespace {

struct Fixture {
  ModelConfig config;
  Parameters parameters;
  Buffer gradients;
  std::unique_ptr<Transformer> model;
  std::unique_ptr<Regulariser> regulariser;
  Tape tape;

  explicit Fixture(RegulariserOptions r, Index layers = 2, Index heads = 2, Index channels = 8,
                   const std::function<void(ModelConfig&)>& change = {}) {
    config.vocab = 5;
    config.context = 3;
    config.layers = layers;
    config.heads = heads;
    config.channels = channels;
    config.ffn = 8;
    r.put(config);
    if (change) change(config);
    const Transformer declare(Builder(parameters, nullptr), config);
    Registry<Regulariser>::make(r.name, Builder(parameters, nullptr) / "regulariser", config);
    parameters.allocate();
    for (const Parameter& p : parameters.list()) {
      const std::vector<Real> values = Leaf(p.shape, static_cast<std::uint64_t>(p.offset) + 1).values;
      for (std::size_t i = 0; i < values.size(); ++i)
        parameters.values()[p.offset + static_cast<Index>(i)] = Real(0.3) * values[i];
    }
    gradients = Buffer(parameters.flat_size());
    model = std::make_unique<Transformer>(Builder(parameters, gradients.data()), config);
    regulariser = Registry<Regulariser>::make(r.name, Builder(parameters, nullptr) / "regulariser", config);
  }

  double value(Index done = 1000) {
    const Tape::Scope scope(tape);
    tape.reset();
    const Tensor term = regulariser->loss(*model, done);
    return term ? static_cast<double>(term.data[0]) : 0;
  }
  void backward(Index done = 1000) {
    const Tape::Scope scope(tape);
    tape.reset();
    gradients.zero();
    tape.backward(regulariser->loss(*model, done));
  }
};

RegulariserOptions locater(const std::string& scale, double strength, double hold) {
  RegulariserOptions r;
  r.name = "locater";
  r.scale = scale;
  r.strength = strength;
  r.hold = hold;
  r.mean = "target";
  r.target = 2;
  return r;
}

// W = W_Q W_K^T of a head, d x d, as nothing but a test may form it.
std::vector<double> full(const QKProduct& p) {
  const Index d = p.width();
  std::vector<double> w(d * d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      for (Index r = 0; r < p.rank(); ++r) {
        w[i * d + j] +=
            static_cast<double>(p.query.data[r * d + i]) * static_cast<double>(p.key.data[r * d + j]);
      }
    }
  }
  return w;
}

bool has_no_gradient(const Tensor& x) {
  return std::all_of(x.grad + 0, x.grad + x.size(), [](Real g) { return g == 0; });
}

struct Full {
  double trace = 0, trace_square = 0, frobenius = 0;
  explicit Full(const QKProduct& p) {
    const std::vector<double> w = full(p);
    const auto d = static_cast<std::size_t>(p.width());
    for (std::size_t i = 0; i < d; ++i) {
      trace += w[i * d + i];
      for (std::size_t j = 0; j < d; ++j) {
        trace_square += w[i * d + j] * w[j * d + i];
        frobenius += w[i * d + j] * w[i * d + j];
      }
    }
  }
};

}  // namespace

TEST_CASE("the product of a head knows of W what W itself shows", "[qk]") {
  Fixture f(locater("frobenius", 1, 0));
  CHECK(f.model->qk().size() == 4);
  for (const QKProduct& p : f.model->qk()) {
    const Full w(p);
    const Spectrum s = p.spectrum();
    CHECK(s.trace == Approx(w.trace));
    CHECK(s.trace_square == Approx(w.trace_square));
    CHECK(s.frobenius_square == Approx(w.frobenius));
    std::complex<double> sum = 0, squares = 0;
    double singular = 0;
    for (const auto& lambda : s.eigenvalues) {
      sum += std::complex<double>(lambda);
      squares += std::complex<double>(lambda * lambda);
    }
    for (Real sigma : s.singular_values) singular += static_cast<double>(sigma * sigma);
    CHECK(sum.real() == Approx(w.trace));
    CHECK(std::fabs(sum.imag()) < 1e-12);
    CHECK(squares.real() == Approx(w.trace_square));
    CHECK(singular == Approx(w.frobenius));
    CHECK(s.radius <= static_cast<double>(s.singular_values[0]) * (1 + 1e-12));
    CHECK(contains(p.left_out, "gain"));
  }
}

TEST_CASE("LocAteR's terms are what the formulas say", "[regulariser]") {
  for (const std::string scale : {"frobenius", "logit-variance", "trace", "variance"}) {
    INFO(scale);
    Fixture f(locater(scale, 0.7, 0.3));
    f.regulariser->prepare(*f.model, 0);
    double expected = 0;
    for (const QKProduct& p : f.model->qk()) {
      const Full w(p);
      const Spectrum s = p.spectrum();
      const double measure = scale == "frobenius"        ? w.frobenius
                             : scale == "logit-variance" ? (w.trace_square + 2 * w.frobenius) / 3
                             : scale == "trace"          ? w.trace_square
                                                         : s.variance * static_cast<double>(p.rank());
      expected += 0.7 * measure + 0.3 * (w.trace - 2) * (w.trace - 2);
    }
    CHECK(f.value() == Approx(expected));
  }
}

namespace {

// The gradient of the term against central differences; returns how many numbers it moves.
int check_gradient(Fixture& f) {
  f.backward();
  const std::vector<Real> gradient(f.gradients.data(), f.gradients.data() + f.gradients.size());
  int moved = 0;
  for (const Parameter& p : f.parameters.list()) {
    if (!p.trained) continue;
    INFO(p.path);
    for (Index i = p.offset; i < p.offset + p.shape.size(); i += 5) {
      Real& x = f.parameters.values()[i];
      const Real at = x, h = Real(1e-5);
      x = at + h;
      const double up = f.value();
      x = at - h;
      const double down = f.value();
      x = at;
      const double analytic = static_cast<double>(gradient[i]);
      const double numeric = (up - down) / (2 * static_cast<double>(h));
      REQUIRE(std::fabs(analytic - numeric) <= 1e-6 * std::max(1.0, std::fabs(numeric)));
      moved += analytic != 0;
    }
  }
  return moved;
}

}  // namespace

TEST_CASE("gradients of regularisers agree with central differences", "[regulariser]") {
  std::vector<RegulariserOptions> all;
  for (const char* scale : {"frobenius", "logit-variance", "trace", "variance"}) {
    all.push_back(locater(scale, 0.7, 0));
    all.push_back(locater(scale, 0.7, 0.3));
  }
  RegulariserOptions l2;
  l2.name = "l2-qk";
  l2.strength = 0.5;
  all.push_back(l2);
  RegulariserOptions some = locater("frobenius", 0.7, 0.3);
  some.layers = "1";
  some.heads = "0";
  all.push_back(some);
  for (const RegulariserOptions& r : all) {
    INFO(r.name << " " << r.scale << " layers " << r.layers);
    Fixture f(r);
    f.regulariser->prepare(*f.model, 0);
    CHECK(check_gradient(f) > 0);
    for (const QKProduct& p : f.model->qk()) {
      const bool chosen = r.layers == "all" || (p.layer == 1 && p.head == 0);
      CHECK(has_no_gradient(p.query) != chosen);
    }
  }
}

TEST_CASE("every regulariser: its gradient agrees with central differences, with all that is 0 turned on",
          "[regulariser]") {
  for (const auto& sibling : Registry<Regulariser>::entries()) {
    INFO(sibling.name);
    RegulariserOptions r;
    r.name = sibling.name;
    Fixture f(r, 2, 2, 8, [&](ModelConfig& config) {
      config.options = {};
      for (const Declaration& option : sibling.options)
        if (!option.is_text && !option.is_flag && option.usual == "0" &&
            option.name.find("warmup") == std::string::npos)
          config.options.set(option.name, option.checked("1"));
    });
    f.regulariser->prepare(*f.model, 0);
    if (f.value() == 0) continue;  // nothing to add, as of none
    CHECK(check_gradient(f) > 0);
  }
}

TEST_CASE("what the mean is held at", "[regulariser]") {
  RegulariserOptions r = locater("frobenius", 0, 1);
  const auto trace = [](Fixture& f) { return f.model->qk()[0].trace(); };
  const auto held = [](Fixture& f) {
    return static_cast<double>(f.parameters.at("regulariser.held_mean").data[0]);
  };
  const auto double_query = [](Fixture& f) {
    Tensor q = f.parameters.at("blocks.0.attn.q.weight");
    for (Index i = 0; i < q.size(); ++i) q.data[i] *= 2;
  };
  SECTION("the target") {
    Fixture f(r);
    f.regulariser->prepare(*f.model, 0);
    CHECK(held(f) == 2);
  }
  SECTION("on the way to the target") {
    r.target_warmup = 4;
    Fixture f(r);
    const double first = trace(f);
    for (Index done = 0; done < 6; ++done) {
      f.regulariser->prepare(*f.model, done);
      INFO("update " << done + 1);
      CHECK(held(f) == Approx(first + std::min(1.0, static_cast<double>(done + 1) / 4) * (2 - first)));
      double_query(f);  // where the trace goes meanwhile does not matter
    }
    // It is state: what was read at the start is not read again.
    CHECK(f.parameters.at("regulariser.initial_trace").data[0] == Approx(first));
  }
  SECTION("the initial value") {
    r.mean = "initial";
    Fixture f(r);
    const double first = trace(f);
    f.regulariser->prepare(*f.model, 0);
    CHECK(f.value() == Approx(0).margin(1e-20));
    double_query(f);
    f.regulariser->prepare(*f.model, 1);
    CHECK(held(f) == Approx(first));
    CHECK(f.value() > 0);
  }
  SECTION("the running value") {
    r.mean = "running";
    Fixture f(r);
    const double first = trace(f);
    f.regulariser->prepare(*f.model, 0);
    double_query(f);
    f.regulariser->prepare(*f.model, 1);
    CHECK(held(f) == Approx(0.99 * first + 0.01 * 2 * first));
    // The loss does not move it.
    const double before = held(f);
    f.value();
    CHECK(held(f) == before);
  }
}

TEST_CASE("strength and hold grow over the warm-up", "[regulariser]") {
  RegulariserOptions r = locater("frobenius", 0.7, 0.3);
  r.warmup = 10;
  Fixture f(r);
  f.regulariser->prepare(*f.model, 0);
  CHECK(f.value(0) == Approx(f.value(1000) / 10));
  CHECK(f.value(4) == Approx(f.value(1000) / 2));
  CHECK(f.value(10) == Approx(f.value(1000)));
}

TEST_CASE("nothing is added where nothing is asked for", "[regulariser]") {
  Fixture f(locater("frobenius", 0, 0));
  const Tape::Scope scope(f.tape);
  CHECK(!f.regulariser->loss(*f.model, 5));
  CHECK(f.tape.nodes() == 0);
}

TEST_CASE("the literal trace warns, and stops where it runs away", "[regulariser]") {
  RegulariserOptions literal = locater("trace", 1, 0);
  literal.mean = "running";
  literal.target = 0;
  Fixture f(literal, 1, 1, 8);
  REQUIRE(f.regulariser->warnings.size() == 1);
  CHECK(contains(f.regulariser->warnings[0], "no minimum"));
  f.regulariser->prepare(*f.model, 0);  // a random W is no reason to stop
  // W_K^T = R W_Q^T with R antisymmetric: W is antisymmetric, tr W^2 = -||W||_F^2.
  Tensor q = f.parameters.at("blocks.0.attn.q.weight"), k = f.parameters.at("blocks.0.attn.k.weight");
  for (Index i = 0; i < 8; i += 2) {
    for (Index j = 0; j < 8; ++j) {
      k.data[i * 8 + j] = q.data[(i + 1) * 8 + j];
      k.data[(i + 1) * 8 + j] = -q.data[i * 8 + j];
    }
  }
  CHECK(f.model->qk()[0].trace_square() == Approx(-f.model->qk()[0].frobenius_square()));
  check_throws<NumericalError>([&] { f.regulariser->prepare(*f.model, 7); },
                               {"step 8", "runs away", "frobenius"});
}

TEST_CASE("LocAteR's minimum has the trace that its formula says", "[regulariser]") {
  // 8 channels in one head; c = 2. Plain descent from random weights.
  for (const std::string scale : {"frobenius", "logit-variance"}) {
    for (const double strength : {0.008, 0.08, 0.8}) {
      INFO(scale << " " << strength);
      Fixture f(locater(scale, strength, 0.1), 1, 1, 8);
      f.regulariser->prepare(*f.model, 0);
      for (int step = 0; step < 20000; ++step) {
        f.backward();
        for (Index i = 0; i < f.gradients.size(); ++i)
          f.parameters.values()[i] -= Real(0.05) * f.gradients.data()[i];
      }
      const QKProduct p = f.model->qk()[0];
      const double t = 2 / (1 + strength / (8 * 0.1));
      CHECK(p.trace() / p.factor == Approx(t).epsilon(1e-3));
      CHECK(p.frobenius_square() / (p.factor * p.factor) == Approx(t * t / 8).epsilon(1e-2));
      CHECK(f.regulariser->warnings.empty() == (strength < 0.1));
    }
  }
}

TEST_CASE("a hold that is too weak for its strength is named", "[regulariser]") {
  const auto warnings = [](auto change) {
    RegulariserOptions r = locater("frobenius", 0.7, 0.1);
    change(r);
    return Fixture(r, 1, 1, 8).regulariser->warnings;
  };
  const std::vector<std::string> weak = warnings([](RegulariserOptions&) {});
  REQUIRE(weak.size() == 1);
  CHECK(contains(weak[0], "hold 0.1 is weak beside strength 0.7"));
  CHECK(contains(weak[0], "53 %"));  // 1 / (1 + 0.7 / 0.8)
  CHECK(contains(weak[0], "with hold 0.79, 90 %"));
  const auto change_mean = [](RegulariserOptions& r, const char* mean) {
    r.mean = mean;
    r.target = 0;
  };
  CHECK(warnings([&](RegulariserOptions& r) { change_mean(r, "initial"); }).size() == 1);
  CHECK(warnings([](RegulariserOptions& r) { r.hold = 0; }).size() == 1);
  CHECK(warnings([](RegulariserOptions& r) { r.hold = 0.8; }).empty());
  CHECK(warnings([&](RegulariserOptions& r) { change_mean(r, "running"); }).empty());
  CHECK(warnings([](RegulariserOptions& r) { r.target = 0; }).empty());
  CHECK(warnings([](RegulariserOptions& r) { r.scale = "variance"; }).empty());
}

TEST_CASE("a regulariser that does nothing, and options that do nothing, say why", "[regulariser]") {
  const auto why = [](const char* name, double strength, double hold, const char* mean) {
    RegulariserOptions r = locater("frobenius", strength, hold);
    r.mean = mean;
    ModelConfig config;
    r.put(config);

    const auto sibling = Registry<Regulariser>::find(name);
    std::string reasons = sibling.idle ? sibling.idle(config.options) : "";
    for (const Declaration& option : sibling.options)
      if (option.idle && !option.idle(config.options).empty())
        reasons += " " + option.name + ": " + option.idle(config.options);
    return reasons;
  };
  CHECK(why("none", 0, 0, "running") == "");
  CHECK(why("l2-qk", 0.1, 0, "running") == "");
  CHECK(why("l2-qk", 0, 0, "running") == "strength is 0");
  CHECK(contains(why("locater", 0, 0, "target"), "strength and hold are 0"));
  CHECK(why("locater", 0.1, 0, "target") == " mean: hold is 0 target: hold is 0 target-warmup: hold is 0");
  CHECK(why("locater", 0, 0.1, "running") ==
        " scale: strength is 0 target: mean is running target-warmup: mean is running");
  CHECK(why("locater", 0.1, 0.1, "target") == "");
}

TEST_CASE("mistakes in the choice of regularisers are refused", "[regulariser]") {
  const auto build = [](auto change) {
    return [change] {
      RegulariserOptions r = locater("frobenius", 1, 0);
      change(r);
      Fixture f(r);
    };
  };
  check_throws(build([](RegulariserOptions& r) { r.name = "locator"; }), {"did you mean locater?"});
  check_throws(build([](RegulariserOptions& r) { r.scale = "spectral"; }), {"scale", "'spectral'"});
  check_throws(build([](RegulariserOptions& r) { r.mean = "none"; }), {"mean", "'none'"});
  check_throws(build([](RegulariserOptions& r) { r.strength = -1; }), {"strength"});
  check_throws(build([](RegulariserOptions& r) { r.target_warmup = -1; }), {"target-warmup", "-1"});
  check_throws(build([](RegulariserOptions& r) { r.layers = "2"; }), {"layers", "'2'", "0 to 1"});
  check_throws(build([](RegulariserOptions& r) { r.heads = "0,x"; }), {"heads", "'0,x'"});
  check_throws(build([](RegulariserOptions& r) { r.heads = ""; }), {"heads"});
  CHECK(selection("layers", "0,2", 3) == std::vector<bool>{true, false, true});
}
