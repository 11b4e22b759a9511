// exp, tanh and erf against the library's in double; random numbers against published vectors and moments.
#include "engine/math.h"

#include <bit>
#include <cstdint>
#include <limits>
#include <map>
#include <numbers>

#include "engine/ops.h"
#include "engine/random.h"
#include "tests/helpers.h"

namespace ef {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

// ---- exp, tanh, erf
// ----------------------------------------------------------------------------------------

// The distance between floats around x: the unit in which errors are measured.
double unit_in_last_place(double x) {
  int exponent = 0;
  std::frexp(x, &exponent);
  return std::ldexp(1.0, std::max(exponent - 24, -149));
}

// The largest error met, and where.
struct Worst {
  double units = 0;
  float at = 0;

  void compare(float x, float got, double exact) {
    if (static_cast<double>(got) == exact) return;
    // Beyond the largest float, and half of the distance to the next, there is infinity.
    if (exact >= 0x1.ffffffp127 && got == infinity) return;
    const double error = std::fabs(static_cast<double>(got) - exact) / unit_in_last_place(exact);
    if (!(error <= units)) {  // also for NaN
      units = error;
      at = x;
    }
  }
};

// f against exact for every `stride`-th float of both signs from |x| = `from` to `to`, and for the 4096
// floats around each of `boundaries`, where an approximation changes over or ends.
template <class Function, class Exact>
Worst worst_error(Function f, Exact exact, float from, float to, std::uint32_t stride,
                  std::initializer_list<float> boundaries) {
  Worst worst;
  const auto both = [&](std::uint32_t bits) {
    const float x = std::bit_cast<float>(bits);
    worst.compare(x, f(x), exact(static_cast<double>(x)));
    worst.compare(-x, f(-x), exact(-static_cast<double>(x)));
  };
  const auto last = std::bit_cast<std::uint32_t>(to);
  for (std::uint32_t bits = std::bit_cast<std::uint32_t>(from); bits <= last; bits += stride) both(bits);
  for (float boundary : boundaries) {
    const auto middle = std::bit_cast<std::uint32_t>(boundary);
    for (std::uint32_t bits = middle - 2048; bits <= middle + 2048; ++bits) both(bits);
  }
  return worst;
}

// The same over all finite floats: densely where the function is not yet flat, more thinly elsewhere.
struct Stride {
  std::uint32_t dense, thin;
};

void check_exp(Stride stride) {
  const auto fast = [](float x) { return fast_exp(x); };
  const auto exact = [](double x) { return std::exp(x); };
  for (const auto& [from, to, step] : {std::tuple{0.0f, 0x1p-27f, stride.thin},
                                       {0x1p-27f, 110.0f, stride.dense},
                                       {110.0f, std::numeric_limits<float>::max(), stride.thin}}) {
    const Worst worst =
        worst_error(fast, exact, from, to, step,
                    {0.34657359f, 87.33654f, 88.722839f, 89.0f, 103.27893f, 103.97208f, 104.0f});
    INFO("from " << from << " to " << to << ", worst at " << worst.at);
    CHECK(worst.units <= 2);
  }
}

void check_exp_at_most_88(Stride stride) {
  const auto fast = [](float x) { return fast_exp_at_most_88(std::min(x, 88.0f)); };
  const auto exact = [](double x) { return x < -87 ? 0 : std::exp(std::min(x, 88.0)); };
  for (const auto& [from, to, step] : {std::tuple{0.0f, 0x1p-27f, stride.thin},
                                       {0x1p-27f, 88.0f, stride.dense},
                                       {88.0f, std::numeric_limits<float>::max(), stride.thin}}) {
    const Worst worst = worst_error(fast, exact, from, to, step, {0.34657359f, 87.0f});
    INFO("from " << from << " to " << to << ", worst at " << worst.at);
    CHECK(worst.units <= 2);
  }
}

void check_tanh(Stride stride) {
  const auto fast = [](float x) { return fast_tanh(x); };
  const auto exact = [](double x) { return std::tanh(x); };
  for (const auto& [from, to, step] : {std::tuple{0.0f, 1e-5f, stride.thin},
                                       {1e-5f, 10.0f, stride.dense},
                                       {10.0f, std::numeric_limits<float>::max(), stride.thin}}) {
    const Worst worst = worst_error(fast, exact, from, to, step, {0.625f, 9.010913f, 44.5f});
    INFO("from " << from << " to " << to << ", worst at " << worst.at);
    CHECK(worst.units <= 3);
  }
}

void check_erf(Stride stride) {
  const auto fast = [](float x) { return fast_erf(x); };
  const auto exact = [](double x) { return std::erf(x); };
  for (const auto& [from, to, step] : {std::tuple{0.0f, 1e-5f, stride.thin},
                                       {1e-5f, 5.0f, stride.dense},
                                       {5.0f, std::numeric_limits<float>::max(), stride.thin}}) {
    const Worst worst = worst_error(fast, exact, from, to, step, {0.84375f, 3.9192059f, 4.0f});
    INFO("from " << from << " to " << to << ", worst at " << worst.at);
    CHECK(worst.units <= 3);
  }
}

TEST_CASE("fast_exp is at most 2 units in the last place off", "[math]") { check_exp({31, 6007}); }
TEST_CASE("fast_exp_at_most_88 is, too, and 0 below -87", "[math]") { check_exp_at_most_88({31, 6007}); }
TEST_CASE("fast_tanh is at most 3 units in the last place off", "[math]") { check_tanh({31, 6007}); }
TEST_CASE("fast_erf is at most 3 units in the last place off", "[math]") { check_erf({31, 6007}); }

// Takes five minutes, so only by its name.
TEST_CASE("exp, tanh and erf keep their bounds on every float", "[.][exhaustive]") {
  check_exp({1, 1});
  check_exp_at_most_88({1, 1});
  check_tanh({1, 1});
  check_erf({1, 1});
}

TEST_CASE("exp, tanh and erf where float ends", "[math]") {
  CHECK(fast_exp(0.0f) == 1.0f);
  CHECK(fast_exp(-0.0f) == 1.0f);
  CHECK(std::isfinite(fast_exp(88.72283f)));
  CHECK(fast_exp(88.72284f) == infinity);
  CHECK(fast_exp(3e38f) == infinity);
  CHECK(fast_exp(infinity) == infinity);
  // Down through the denormals to zero, never up.
  float before = fast_exp(-87.0f);
  for (float x = -87.0f; x > -105.0f; x -= 0.0625f) {
    CHECK(fast_exp(x) <= before);
    before = fast_exp(x);
  }
  CHECK(fast_exp(-103.0f) == 0x1p-149f);
  CHECK(fast_exp(-88.0f) > 0.0f);
  CHECK(fast_exp(-88.0f) < std::numeric_limits<float>::min());
  CHECK(fast_exp(-105.0f) == 0.0f);
  CHECK(fast_exp(-3e38f) == 0.0f);
  CHECK(fast_exp(-infinity) == 0.0f);

  CHECK(fast_exp_at_most_88(0.0f) == 1.0f);
  CHECK(fast_exp_at_most_88(-0.0f) == 1.0f);
  CHECK(fast_exp_at_most_88(88.0f) == fast_exp(88.0f));
  for (float x : {88.0f, 1e4f, 3e38f, infinity}) CHECK(fast_exp_at_most_88(-x) == 0.0f);

  for (float x : {10.0f, 1e10f, 3e38f, infinity}) {
    CHECK(fast_tanh(x) == 1.0f);
    CHECK(fast_tanh(-x) == -1.0f);
    CHECK(fast_erf(x) == 1.0f);
    CHECK(fast_erf(-x) == -1.0f);
  }
  for (float x : {0.0f, 0x1p-149f, 0x1p-126f, 1e-20f}) {
    CHECK(fast_tanh(x) == x);
    CHECK(fast_tanh(-x) == -x);
    CHECK(fast_erf(-x) == -fast_erf(x));
  }
  for (float x : {not_a_number, -not_a_number}) {
    CHECK(std::isnan(fast_exp(x)));
    CHECK(std::isnan(fast_exp_at_most_88(x)));
    CHECK(std::isnan(fast_tanh(x)));
    CHECK(std::isnan(fast_erf(x)));
  }
}

// ---- Ops in float32, which are made of these

TEST_CASE("activations in float32 and their slopes follow their formulas", "[math]") {
  using Formula = double (*)(double);
  static const double root = std::sqrt(2 / std::numbers::pi);
  const std::map<std::string, Formula> formulas = {
      {"relu", [](double x) { return std::max(x, 0.0); }},
      {"gelu", [](double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; }},
      {"gelu-tanh", [](double x) { return x / 2 * (1 + std::tanh(root * (x + 0.044715 * x * x * x))); }},
      {"silu", [](double x) { return x / (1 + std::exp(-x)); }},
      {"squared-relu", [](double x) { return x > 0 ? x * x : 0; }}};
  std::vector<Real> x, y, slope;
  for (int i = -12000; i <= 12000; ++i) x.push_back(Real(i) / 1000 + Real(1e-4));  // none at the kink of relu
  for (const Activation& f : activations()) {
    INFO(f.name);
    if (!formulas.contains(f.name)) continue;  // somebody's own: its slope is checked with all ops
    const Formula formula = formulas.at(f.name);
    y.assign(x.size(), 0);
    slope.assign(x.size(), 1);
    f.values_and_slopes(x.data(), y.data(), slope.data(), std::ssize(x));
    double worst = 0, worst_slope = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double at = static_cast<double>(x[i]), h = 1e-5;  // central differences in double: 1e-10 off
      const double exact_slope = (formula(at + h) - formula(at - h)) / (2 * h);
      const double size = std::max(1 + std::fabs(at), std::fabs(formula(at)));  // one of these grows as x^2
      worst = std::max(worst, std::fabs(static_cast<double>(y[i]) - formula(at)) / size);
      worst_slope = std::max(worst_slope, std::fabs(static_cast<double>(slope[i]) - exact_slope));
    }
    INFO("value " << worst << ", slope " << worst_slope);
    CHECK(worst < 5e-7);
    CHECK(worst_slope < 5e-6);
  }
}

TEST_CASE("the backward of attention weighs tokens as the forward does, at logits of 10^4 too", "[math]") {
  // One channel of 100 in queries and keys, which softmax does not see: logits of 10^4, differences of
  // order 1.
  const std::size_t tokens = 40, channels = 8;
  const Shape shape{1, tokens, channels};
  Leaf q(shape, 1), k(shape, 2), v(shape, 3);
  for (std::size_t t = 0; t < tokens; ++t) q.values[t * channels] = k.values[t * channels] = 100;
  Tape tape;
  Tape::Scope scope(tape);
  std::vector<Real> pattern(tokens * tokens), weight(v.values.size());
  tape.backward(causal_attention(q.tensor(), k.tensor(), v.tensor(), 1, 1, {nullptr, pattern.data()}),
                std::vector<Real>(v.values.size(), 1));
  // dV = P^T dO, and dO is 1.
  for (std::size_t i = 0; i < tokens; ++i)
    for (std::size_t t = 0; t < tokens; ++t)
      for (std::size_t c = 0; c < channels; ++c) weight[t * channels + c] += pattern[i * tokens + t];
  CHECK(distance(v.gradient, weight) < 4e-6);
  CHECK(pattern[tokens * tokens - 1] < 0.9);  // not one-hot, which would say little
}

// ---- Random numbers
// ----------------------------------------------------------------------------------------

TEST_CASE("Philox4x32-10 yields the published numbers", "[random]") {
  // The known answers that its authors publish with their library, Random123.
  constexpr std::uint32_t ones = 0xFFFFFFFF;
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({ones, ones, ones, ones}, {ones, ones}) ==
        Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("seed, stream, step and index each lead to other numbers, and nothing else does", "[random]") {
  const Random r{1, 2, 3};
  CHECK(r.block(4) == Random{1, 2, 3}.block(4));
  CHECK(r.block(4) != Random{2, 2, 3}.block(4));
  CHECK(r.block(4) != Random{1, 3, 3}.block(4));
  CHECK(r.block(4) != Random{1, 2, 4}.block(4));
  CHECK(r.block(4) != r.block(5));
  CHECK(r.block(4) != r.block(4 + (std::uint64_t{1} << 32)));
  CHECK(r.block(4) != Random{1 + (std::uint64_t{1} << 32), 2, 3}.block(4));
  CHECK(stream_of(Purpose::data) != stream_of(Purpose::dropout));
  CHECK(stream_of(Purpose::data, 0) != stream_of(Purpose::data, 1));
  CHECK(stream_of(Purpose::test, 0x0FFFFFFF) >> 28 == stream_of(Purpose::test) >> 28);
  CHECK(stream_of(Purpose::test, 0x0FFFFFFF) < std::uint64_t{1} << 32);
}

// The mean of x^k for k = 1..4, each of whose standard deviation is known.
struct Moments {
  double sum[4] = {};
  double n = 0;
  void add(double x) {
    double power = 1;
    for (double& s : sum) s += power *= x;
    ++n;
  }
  double operator[](int k) const { return sum[k - 1] / n; }
};

TEST_CASE("uniform and normal numbers have the moments of their laws", "[random]") {
  const Random random{5, stream_of(Purpose::test), 0};
  constexpr std::uint64_t n = 400000;
  const double five_sigma = 5 / std::sqrt(static_cast<double>(n));  // of a mean whose terms have deviation 1
  Moments uniform, normal;
  double lag = 0, low = 1, high = 0, far = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const double u = random.uniform(i), z = random.normal(i);
    uniform.add(u);
    normal.add(z);
    lag += z * random.normal(i + 1) / static_cast<double>(n);
    low = std::min(low, u);
    high = std::max(high, u);
    far = std::max(far, std::fabs(z));
  }
  // Mean 1 / (k + 1), variance 1 / (2 k + 1) - 1 / (k + 1)^2.
  for (int k = 1; k <= 4; ++k) {
    const double mean = 1.0 / (k + 1);
    CHECK(std::fabs(uniform[k] - mean) < five_sigma * std::sqrt(1.0 / (2 * k + 1) - mean * mean));
  }
  CHECK(low >= 0);
  CHECK(low < 1e-4);
  CHECK(high < 1);
  CHECK(high > 1 - 1e-4);
  // E z^2 = 1, E z^4 = 3, E z^6 = 15, E z^8 = 105.
  CHECK(std::fabs(normal[1]) < five_sigma);
  CHECK(std::fabs(normal[2] - 1) < five_sigma * std::sqrt(2.0));
  CHECK(std::fabs(normal[3]) < five_sigma * std::sqrt(15.0));
  CHECK(std::fabs(normal[4] - 3) < five_sigma * std::sqrt(96.0));
  CHECK(std::fabs(lag) < five_sigma);
  CHECK(far > 4);
  CHECK(far < 8);
}

TEST_CASE("below is even over its range", "[random]") {
  const Random random{6, stream_of(Purpose::test), 0};
  constexpr std::uint64_t sides = 7, n = 140000;
  double count[sides] = {};
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t side = random.below(i, sides);
    REQUIRE(side < sides);
    ++count[side];
  }
  const double expected = static_cast<double>(n) / sides;
  double chi_square = 0;
  for (double c : count) chi_square += (c - expected) * (c - expected) / expected;
  CHECK(chi_square < 35.9);  // exceeded once in 350000 with 6 degrees of freedom
  CHECK(random.below(3, 1) == 0);
  const std::uint64_t huge = std::uint64_t{1} << 63;
  bool upper_half = false;
  for (std::uint64_t i = 0; i < 64; ++i) {
    REQUIRE(random.below(i, huge) < huge);
    upper_half = upper_half || random.below(i, huge) >= huge / 2;
  }
  CHECK(upper_half);
}

}  // namespace
}  // namespace ef
