// Optimisers: each rule against a plain loop, and what must hold for every rule there is.
#include "engine/optimisers/optimiser.h"

#include <numbers>

#include "engine/lapack.h"
#include "engine/math.h"
#include "engine/schedule.h"
#include "tests/helpers.h"

using namespace ef;

namespace {

using Values = std::vector<double>;

// A table, a head, matrices of both aspects, a row, a vector, a cube, one number, and state that is not
// trained.
struct Weights {
  Parameters parameters;
  Values gradients;

  Weights() {
    const Builder b(parameters, nullptr);
    b.parameter_of(Parameter::Kind::embedding, "tokens.weight", {7, 4}, Init::normal(1));
    (b / "blocks.0.attn.q").parameter("weight", {4, 4}, Init::uniform(2));
    (b / "blocks.0.attn.q").parameter("bias", {4}, Init::normal(1));
    (b / "blocks.0.mlp.up").parameter("weight", {6, 4}, Init::normal(1));
    (b / "blocks.0.mlp.down").parameter("weight", {3, 19}, Init::normal(1));
    b.state("held", {2, 2}, Init::ones());
    b.parameter("row", {1, 5}, Init::normal(1));
    b.parameter("cube", {2, 2, 3}, Init::uniform(2));
    b.parameter("number", {1}, Init::ones());
    b.parameter_of(Parameter::Kind::head, "unembed.weight", {7, 4}, Init::normal(1));
    parameters.allocate();
    parameters.initialise(5);
    gradients.resize(parameters.flat_size());
  }
  // Others every step.
  void draw_gradients(Index step) {
    const Random random{8, stream_of(Purpose::test), static_cast<std::uint64_t>(step)};
    for (const Parameter& p : parameters.list())
      for (Index i = p.offset; i < p.offset + p.shape.size(); ++i)
        gradients[i] = p.trained ? random.normal(static_cast<std::uint64_t>(i)) : 0;
  }
  void step(Optimiser& optimiser, Index workers, Index step, double rate, double clip = 1) {
    draw_gradients(step);
    for (Index worker = 0; worker < workers; ++worker)
      optimiser.update(worker, parameters.values(), gradients.data(), step, rate, clip);
  }
  Values of(const std::string& path) {
    const Tensor x = parameters.at(path);
    return {x.data, x.data + x.size()};
  }
  Values all() const { return {parameters.values(), parameters.values() + parameters.flat_size()}; }
};

OptimiserConfig of_rule(const std::string& rule, double decay = 0, const std::string& decays = "all") {
  OptimiserConfig config;
  config.rule = rule;
  config.weight_decay = decay;
  config.decay = decays;
  return config;
}

// One number, as a textbook has it: returns the number after so many steps.
using TextbookStep = void (*)(double& w, double& m, double& v, double g, double lr, int t);

// Five steps with clipping and another rate each: of the rule, and of the textbook, where all decays.
void compare(const OptimiserConfig& config, TextbookStep textbook) {
  Weights weights;
  const Values start = weights.all();
  Optimiser optimiser(weights.parameters, config, 1);
  Values w = start, m(w.size()), v(w.size());
  for (int t = 1; t <= 5; ++t) {
    const double rate = 0.1 / t, clip = t % 2 ? 1.0 : 0.25;
    weights.step(optimiser, 1, t, rate, clip);
    for (const Parameter& p : weights.parameters.list()) {
      if (!p.trained) continue;
      for (auto i = static_cast<std::size_t>(p.offset);
           i < static_cast<std::size_t>(p.offset + p.shape.size()); ++i) {
        w[i] -= rate * config.weight_decay * w[i];
        textbook(w[i], m[i], v[i], clip * weights.gradients[i], rate, t);
      }
    }
  }
  CHECK(distance(weights.all(), w) < 1e-13);
  CHECK(distance(weights.all(), start) > 0.1);
}

}  // namespace

TEST_CASE("rules that go number by number are the textbook's", "[optimiser]") {
  OptimiserConfig adam = of_rule("adamw", 0.3);
  // A large epsilon, so that where it is added matters.
  adam.options.set("beta1", 0.8);
  adam.options.set("beta2", 0.95);
  adam.options.set("epsilon", 0.05);
  // Kingma and Ba (2015), algorithm 1.
  compare(adam, [](double& w, double& m, double& v, double g, double lr, int t) {
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    w -= lr * (m / (1 - std::pow(0.8, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 0.05);
  });
  adam.rule = "fairseq-adam";
  compare(adam, [](double& w, double& m, double& v, double g, double lr, int t) {
    m = 0.8 * m + 0.2 * g;
    v = 0.95 * v + 0.05 * g * g;
    w -= lr * std::sqrt(1 - std::pow(0.95, t)) / (1 - std::pow(0.8, t)) * m / (std::sqrt(v) + 0.05);
  });
  OptimiserConfig sgd = of_rule("sgd", 0.2);
  compare(sgd, [](double& w, double& b, double&, double g, double lr, int) {
    b = 0.9 * b + g;
    w -= lr * b;
  });
  sgd.options.set("nesterov", true);
  sgd.options.set("momentum", 0.5);
  compare(sgd, [](double& w, double& b, double&, double g, double lr, int) {
    b = 0.5 * b + g;
    w -= lr * (g + 0.5 * b);
  });
  // Chen et al. (2023), algorithm 2.
  compare(of_rule("lion", 0.3), [](double& w, double& m, double&, double g, double lr, int) {
    const double u = 0.9 * m + 0.1 * g;
    w -= lr * (u > 0 ? 1 : u < 0 ? -1 : 0);
    m = 0.99 * m + 0.01 * g;
  });
}

namespace {

using Matrix = std::vector<Values>;

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.size(), Values(b[0].size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b[0].size(); ++j)
      for (std::size_t k = 0; k < b.size(); ++k) c[i][j] += a[i][k] * b[k][j];
  return c;
}
Matrix transposed(const Matrix& a) {
  Matrix t(a[0].size(), Values(a.size()));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[0].size(); ++j) t[j][i] = a[i][j];
  return t;
}
double norm(const Matrix& a) {
  double squares = 0;
  for (const Values& row : a)
    for (const double x : row) squares += x * x;
  return std::sqrt(squares);
}

// As in Jordan et al. (2024), by plain loops.
Matrix newton_schulz(Matrix x) {
  const bool tall = x.size() > x[0].size();
  if (tall) x = transposed(x);
  const double size = norm(x);
  for (Values& row : x)
    for (double& value : row) value /= size;
  for (int step = 0; step < 5; ++step) {
    const Matrix gram = product(x, transposed(x)), square = product(gram, gram);
    Matrix polynomial = gram;
    for (std::size_t i = 0; i < gram.size(); ++i)
      for (std::size_t j = 0; j < gram.size(); ++j)
        polynomial[i][j] = -4.7750 * gram[i][j] + 2.0315 * square[i][j];
    const Matrix more = product(polynomial, x);
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x[0].size(); ++j) x[i][j] = 3.4445 * x[i][j] + more[i][j];
  }
  return tall ? transposed(x) : x;
}

Matrix matrix_of(const Real* x, Index rows, Index columns) {
  Matrix m;
  for (Index i = 0; i < rows; ++i) m.emplace_back(x + i * columns, x + (i + 1) * columns);
  return m;
}

}  // namespace

TEST_CASE("Muon is what its plain loops say, and AdamW elsewhere", "[optimiser]") {
  for (const bool nesterov : {true, false}) {
    for (const std::string size : {"adam", "aspect"}) {
      INFO(nesterov << " " << size);
      OptimiserConfig config = of_rule("muon", 0.1);
      config.options.set("nesterov", nesterov);
      config.options.set("muon-size", size);
      Weights weights, adam;
      Optimiser muon(weights.parameters, config, 1), adamw(adam.parameters, of_rule("adamw", 0.1), 1);
      std::map<std::string, Matrix> memory, expected;
      for (const Parameter& p : weights.parameters.list()) {
        if (p.shape.rank != 2) continue;
        expected[p.path] = matrix_of(weights.parameters.values() + p.offset, p.shape[0], p.shape[1]);
        memory[p.path] =
            Matrix(static_cast<std::size_t>(p.shape[0]), Values(static_cast<std::size_t>(p.shape[1])));
      }
      for (int t = 1; t <= 3; ++t) {
        const double rate = 0.01 * t, clip = 0.5;
        weights.step(muon, 1, t, rate, clip);
        adam.step(adamw, 1, t, rate, clip);
        for (const Parameter& p : weights.parameters.list()) {
          if (!expected.contains(p.path)) continue;
          Matrix g = matrix_of(weights.gradients.data() + p.offset, p.shape[0], p.shape[1]);
          Matrix &b = memory[p.path], m = g, &w = expected[p.path];
          for (std::size_t i = 0; i < g.size(); ++i) {
            for (std::size_t j = 0; j < g[0].size(); ++j) {
              b[i][j] = 0.95 * b[i][j] + clip * g[i][j];
              m[i][j] = nesterov ? clip * g[i][j] + 0.95 * b[i][j] : b[i][j];
            }
          }
          const Matrix o = newton_schulz(m);
          const double rows = double(g.size()), columns = double(g[0].size());
          const double s = size == "adam" ? 0.2 * std::sqrt(std::max(rows, columns))
                                          : std::sqrt(std::max(1.0, rows / columns));
          for (std::size_t i = 0; i < g.size(); ++i)
            for (std::size_t j = 0; j < g[0].size(); ++j) w[i][j] -= rate * (s * o[i][j] + 0.1 * w[i][j]);
        }
      }
      for (const char* path :
           {"blocks.0.attn.q.weight", "blocks.0.mlp.up.weight", "blocks.0.mlp.down.weight", "row"}) {
        INFO(path);
        Values flat;
        for (const Values& row : expected[path]) flat.insert(flat.end(), row.begin(), row.end());
        CHECK(distance(weights.of(path), flat) < 1e-12);
      }
      for (const char* path : {"tokens.weight", "blocks.0.attn.q.bias", "cube", "number", "unembed.weight"}) {
        INFO(path);
        CHECK(weights.of(path) == adam.of(path));
      }
      CHECK(muon.remembered("momentum", "row") != nullptr);
      CHECK(muon.remembered("momentum", "number") == nullptr);
      CHECK(muon.remembered("second_moment", "number") != nullptr);
    }
  }
}

TEST_CASE("Muon's exact step is the polar factor, and Newton-Schulz is near it", "[optimiser]") {
  const auto step_of = [](const std::string& way, const std::string& path) {
    OptimiserConfig config = of_rule("muon");
    config.options.set("orthogonalise", way);
    config.options.set("muon-size", "aspect");
    Weights weights;
    const Values before = weights.of(path);
    Optimiser muon(weights.parameters, config, 1);
    weights.step(muon, 1, 1, 1);
    Values step = weights.of(path);
    for (std::size_t i = 0; i < step.size(); ++i) step[i] = before[i] - step[i];
    return step;
  };
  for (const auto& [path, rows, columns] :
       {std::tuple<const char*, Index, Index>{"blocks.0.attn.q.weight", 4, 4},
        {"blocks.0.mlp.up.weight", 6, 4},
        {"blocks.0.mlp.down.weight", 3, 19},
        {"row", 1, 5}}) {
    INFO(path);
    const double size = std::sqrt(std::max(1.0, double(rows) / double(columns)));
    for (const double sigma : lapack::singular_values(step_of("svd", path), rows, columns))
      CHECK(sigma == Approx(size).epsilon(1e-12));
    for (const double sigma : lapack::singular_values(step_of("newton-schulz", path), rows, columns)) {
      CHECK(sigma > 0.65 * size);
      CHECK(sigma < 1.25 * size);
    }
    // The polar factor is the orthogonal matrix nearest to the gradient: <O, G> is the sum of G's singular
    // values.
    Weights weights;
    weights.draw_gradients(1);
    const Real* g = weights.gradients.data() + [&] {
      for (const Parameter& p : weights.parameters.list())
        if (p.path == path) return p.offset;
      return Index{0};
    }();
    const Values o = step_of("svd", path),
                 sigmas = lapack::singular_values({g, g + rows * columns}, rows, columns);
    double inner = 0, sum = 0;
    for (std::size_t i = 0; i < o.size(); ++i) inner += o[i] / size * g[i];
    for (const double sigma : sigmas) sum += sigma;
    CHECK(inner == Approx(sum).epsilon(1e-12));
  }
}

TEST_CASE("Muon leaves a matrix without a gradient in its place", "[optimiser]") {
  for (const std::string way : {"svd", "newton-schulz"}) {
    OptimiserConfig config = of_rule("muon");
    config.options.set("orthogonalise", way);
    Weights weights;
    const Values before = weights.all();
    Optimiser muon(weights.parameters, config, 1);
    std::fill(weights.gradients.begin(), weights.gradients.end(), 0.0);
    muon.update(0, weights.parameters.values(), weights.gradients.data(), 1, 0.1, 1);
    CHECK(weights.all() == before);
  }
}

// ---- What holds for every rule

TEST_CASE("every optimiser: any number of workers gives the same bits", "[optimiser]") {
  for (const std::string& rule : Registry<OptimiserRule>::names()) {
    Values alone;
    for (const Index workers : {1, 2, 3, 7, 64}) {
      INFO(rule << ", " << workers << " workers");
      Weights weights;
      Optimiser optimiser(weights.parameters, of_rule(rule, 0.1, "matrices"), workers);
      for (Index t = 1; t <= 4; ++t) weights.step(optimiser, workers, t, 0.01, 0.5);
      if (workers == 1) alone = weights.all();
      CHECK(weights.all() == alone);
    }
  }
}

TEST_CASE("every optimiser: state goes on from what it remembered, and from nothing else", "[optimiser]") {
  for (const std::string& rule : Registry<OptimiserRule>::names()) {
    INFO(rule);
    Weights whole, half;
    Optimiser first(whole.parameters, of_rule(rule), 1), second(half.parameters, of_rule(rule), 1);
    for (Index t = 1; t <= 3; ++t) whole.step(first, 1, t, 0.01);
    REQUIRE(first.memory().size() == second.memory().size());
    std::copy_n(whole.parameters.values(), whole.parameters.flat_size(), half.parameters.values());
    for (std::size_t i = 0; i < first.memory().size(); ++i) {
      const Optimiser::Memory &from = first.memory()[i], &to = second.memory()[i];
      CHECK(from.name == to.name);
      CHECK(from.parameter->path == to.parameter->path);
      std::copy_n(from.data, from.shape.size(), to.data);
    }
    for (Index t = 4; t <= 6; ++t) {
      whole.step(first, 1, t, 0.01);
      half.step(second, 1, t, 0.01);
    }
    CHECK(whole.all() == half.all());
  }
}

TEST_CASE("every optimiser: it descends, leaves state alone, and survives a gradient that stays 0",
          "[optimiser]") {
  for (const std::string& rule : Registry<OptimiserRule>::names()) {
    INFO(rule);
    Weights weights;
    Optimiser optimiser(weights.parameters, of_rule(rule), 1);
    // The gradient of |w|^2 / 2 is w.
    const auto squares = [&] {
      return sum_of_squares(weights.parameters.values(), weights.parameters.flat_size());
    };
    const double before = squares();
    for (Index t = 1; t <= 60; ++t) {
      std::copy_n(weights.parameters.values(), weights.parameters.flat_size(), weights.gradients.begin());
      optimiser.update(0, weights.parameters.values(), weights.gradients.data(), t, 0.01, 1);
    }
    CHECK(squares() < 0.8 * before);
    CHECK(weights.of("held") == Values(4, 1));
    std::fill(weights.gradients.begin(), weights.gradients.end(), 0.0);
    for (Index t = 61; t <= 40000; ++t)
      optimiser.update(0, weights.parameters.values(), weights.gradients.data(), t, 1e-6, 1);
    for (const double w : weights.all()) CHECK(std::isfinite(w));
    // Not to the smallest denormal number, where rounding would keep it and processors are slow.
    for (const Optimiser::Memory& memory : optimiser.memory())
      for (Index i = 0; i < memory.shape.size(); ++i)
        CHECK((memory.data[i] == 0 || std::fabs(memory.data[i]) >= std::numeric_limits<Real>::min()));
  }
}

TEST_CASE("every optimiser: each of its options is checked, and read", "[optimiser]") {
  for (const auto& rule : Registry<OptimiserRule>::entries()) {
    for (const Declaration& option : rule.options) {
      INFO(rule.name << " " << option.name);
      if (option.is_text || option.is_flag)
        check_throws([&] { option.checked("nonsense"); }, {option.name.c_str(), "nonsense"});
      else
        check_throws([&] { option.checked("-1"); }, {option.name.c_str(), "-1"});
      // Another value makes another step, somewhere in the first three.
      OptimiserConfig config = of_rule(rule.name);
      for (const char* other : {"0.5", "true", "false", "svd", "aspect"}) {
        try {
          if (option.checked(other) != option.usual) config.options.set(option.name, other);
        } catch (const Error&) {
        }
      }
      REQUIRE(config.options.find(option.name) != nullptr);
      Weights usual, changed;
      Optimiser a(usual.parameters, of_rule(rule.name), 1), b(changed.parameters, config, 1);
      for (Index t = 1; t <= 3; ++t) {
        usual.step(a, 1, t, 0.1);
        changed.step(b, 1, t, 0.1);
      }
      CHECK(usual.all() != changed.all());
    }
  }
}

// ---- Decay, groups

TEST_CASE("who decays", "[optimiser]") {
  for (const std::string& who : decay_groups()) {
    INFO(who);
    Weights weights;
    const Weights start;
    Optimiser optimiser(weights.parameters, of_rule("sgd", 0.5, who), 1);
    optimiser.update(0, weights.parameters.values(), weights.gradients.data(), 1, 0.1, 1);  // gradients are 0
    for (const Parameter& p : weights.parameters.list()) {
      const bool decays = p.trained && (who == "all" || (who == "matrices" && p.shape.rank >= 2));
      for (Index i = p.offset; i < p.offset + p.shape.size(); ++i)
        CHECK(weights.parameters.values()[i] == Approx((decays ? 0.95 : 1.0) * start.parameters.values()[i]));
    }
  }
}

TEST_CASE("groups have their own rule, learning rate, decay and options; the last that matches counts",
          "[optimiser]") {
  OptimiserConfig config = of_rule("sgd");
  config.learning_rate = 0.2;
  config.groups =
      "embeddings lr=0.4; head optimiser=lion beta1=0.5 weight-decay=0.1; blocks.*.attn.* momentum=0; "
      "*.bias optimiser=adamw;vectors lr=0";
  Weights weights, plain, lion, without, adam;
  Optimiser grouped(weights.parameters, config, 2), sgd(plain.parameters, of_rule("sgd"), 1);
  OptimiserConfig other = of_rule("lion", 0.1);
  other.options.set("beta1", 0.5);
  Optimiser of_lion(lion.parameters, other, 1);
  other = of_rule("sgd");
  other.options.set("momentum", 0.0);
  Optimiser of_none(without.parameters, other, 1);
  Weights twice;
  Optimiser faster(twice.parameters, of_rule("sgd"), 1);
  const Weights start;
  for (Index t = 1; t <= 3; ++t) {
    weights.step(grouped, 2, t, 0.1);  // half of the highest rate: half of those of groups, too
    plain.step(sgd, 1, t, 0.1);
    lion.step(of_lion, 1, t, 0.1);
    without.step(of_none, 1, t, 0.1);
    twice.step(faster, 1, t, 0.2);
  }
  CHECK(weights.of("tokens.weight") == twice.of("tokens.weight"));
  CHECK(weights.of("unembed.weight") == lion.of("unembed.weight"));
  CHECK(weights.of("blocks.0.attn.q.weight") == without.of("blocks.0.attn.q.weight"));
  CHECK(weights.of("blocks.0.mlp.up.weight") == plain.of("blocks.0.mlp.up.weight"));
  CHECK(weights.of("blocks.0.attn.q.bias") == Weights().of("blocks.0.attn.q.bias"));  // adamw, of rate 0
  CHECK(weights.of("number") == Weights().of("number"));
  CHECK(contains(grouped.describe(), "sgd: 7 parameters of"));
  CHECK(contains(grouped.describe(), "lion: 1 parameter of 28 numbers"));
}

TEST_CASE("optimisers and groups that cannot be are errors", "[optimiser]") {
  const Weights weights;
  const auto make = [&](const std::string& rule, const std::string& groups = "") {
    return [&weights, rule, groups] {
      OptimiserConfig config = of_rule(rule);
      config.groups = groups;
      Optimiser(weights.parameters, config, 1);
    };
  };
  check_throws(make("adamv"), {"no optimiser called adamv", "did you mean adamw?"});
  check_throws(make("adamw", "head lr"), {"--groups: head", "'lr'", "lr=1e-3"});
  check_throws(make("adamw", "haed lr=1"), {"no parameter is in haed", "did you mean head?"});
  check_throws(make("adamw", "held lr=1"), {"no parameter is in held"});  // state is not trained
  check_throws(make("adamw", "head lr=fast"), {"--groups: head", "'fast'"});
  check_throws(make("adamw", "head weight-decay=-1"), {"--groups: head", "-1", "at least 0"});
  check_throws(make("adamw", "head momentum=0.5"), {"--groups: head", "no option momentum of adamw"});
  check_throws(make("adamw", "head optimiser=moun"), {"no optimiser called moun", "did you mean muon?"});
  check_throws(make("adamw", "head beta1=1"), {"beta1"});
  OptimiserConfig config = of_rule("adamw", NAN);
  check_throws([&] { Optimiser(weights.parameters, config, 1); }, {"weight decay: got nan"});
  config = of_rule("adamw", 0, "matrixes");
  check_throws([&] { Optimiser(weights.parameters, config, 1); },
               {"no decay group matrixes", "did you mean matrices?"});
}

// ---- Schedules

TEST_CASE("learning rates at the corners of their schedules", "[optimiser]") {
  const auto rate = [](const ScheduleConfig& s, const std::string& name, Index done, double share = 0.5) {
    OptionValues options;
    options.set("min-lr", 0.2);
    options.set("decay-share", share);
    return Approx(Registry<Schedule>::make(name, options)->rate(s, done)).epsilon(1e-13);
  };
  const ScheduleConfig s{.peak = 0.8, .warmup_start = 0.3, .warmup = 10, .total = 110};
  for (const std::string& name : Registry<Schedule>::names()) {
    INFO(name);
    CHECK(0.3 == rate(s, name, 0));
    CHECK(0.55 == rate(s, name, 5));
    CHECK(0.75 == rate(s, name, 9));
    CHECK(0.8 == rate(s, name, 10));
    ScheduleConfig cold = s;
    cold.warmup = 0;
    CHECK(0.8 == rate(cold, name, 0));
  }
  CHECK(0.8 == rate(s, "constant", 110));
  CHECK(0.8 == rate(s, "constant", 9999));

  CHECK(0.5 == rate(s, "cosine", 60));
  CHECK(0.5 + 0.3 * std::numbers::sqrt2 / 2 == rate(s, "cosine", 35));
  CHECK(0.2 == rate(s, "cosine", 110));
  CHECK(0.2 == rate(s, "cosine", 9999));

  CHECK(0.4 == rate(s, "inverse-sqrt", 40));
  CHECK(0.1 == rate(s, "inverse-sqrt", 640));

  CHECK(0.8 == rate(s, "wsd", 55));  // the last 55 of 110 updates
  CHECK(0.2 + 0.6 * 28 / 55 == rate(s, "wsd", 82));
  CHECK(0.2 == rate(s, "wsd", 110));
  CHECK(0.2 == rate(s, "wsd", 9999));
  CHECK(0.8 == rate(s, "wsd", 110, 0));

  check_throws([&] { rate(s, "cosin", 0); },
               {"no learning-rate schedule called cosin", "did you mean cosine?"});
}

TEST_CASE("sum_of_squares", "[optimiser]") {
  CHECK(sum_of_squares(nullptr, 0) == 0);
  std::vector<Real> x;
  for (int i = 1; i <= 1000; ++i) {
    CHECK(sum_of_squares(x.data(), static_cast<Index>(x.size())) == (i - 1) * i * (2.0 * i - 1) / 6);
    x.push_back(i % 2 ? i : -i);
  }
}
