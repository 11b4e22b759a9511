// Ops and eigenvalues where the answer is known by hand or from a textbook loop.
#include <complex>
#include <numbers>

#include "engine/lapack.h"
#include "engine/ops.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Values = std::vector<Real>;

// ---- Ops
// ---------------------------------------------------------------------------------------------------

TEST_CASE("softmax: known values, rows that sum to one, shifts that change nothing", "[ops]") {
  Tape tape;
  Tape::Scope scope(tape);
  Leaf thirds({2, 3}, {0, std::log(2.0), std::log(5.0), -7, -7, -7});
  CHECK(distance(values_of(softmax(thirds.tensor())),
                 Values{1 / 8.0, 2 / 8.0, 5 / 8.0, 1 / 3.0, 1 / 3.0, 1 / 3.0}) < 1e-15);

  Leaf x({50, 13}, 1);
  for (Real& v : x.values) v *= 20;
  Leaf shifted = x;
  for (Real& v : shifted.values) v += 1000;  // e^1000 is not a number of any computer
  const Tensor y = softmax(x.tensor());
  CHECK(distance(values_of(y), values_of(softmax(shifted.tensor()))) < 1e-12);
  for (Index r = 0; r < 50; ++r) {
    double total = 0;
    for (Index i = 0; i < 13; ++i) {
      total += y.data[r * 13 + i];
      CHECK(y.data[r * 13 + i] >= 0);
    }
    CHECK(total == Approx(1).epsilon(1e-14));
  }

  Leaf square({3, 3}, Values{4, 9, 9, 1, 1, 9, 0, 0, 0});
  CHECK(distance(values_of(causal_softmax(square.tensor())),
                 Values{1, 0, 0, 0.5, 0.5, 0, 1 / 3.0, 1 / 3.0, 1 / 3.0}) < 1e-15);
}

TEST_CASE("layer_norm: mean 0 and variance 1, then gain and bias; rms_norm: mean square 1", "[ops]") {
  const Index rows = 20, c = 31;
  Leaf x({rows, c}, 2);
  for (Real& v : x.values) v = 3 * v - 40;
  Leaf ones({c}, Values(c, 1.0)), gain({c}, 3), bias({c}, 4);
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor n = layer_norm(x.tensor(), ones.tensor(), {}, 0);
  const Tensor y = layer_norm(x.tensor(), gain.tensor(), bias.tensor(), 0);
  const Tensor rms = rms_norm(x.tensor(), ones.tensor(), 0),
               rms_gain = rms_norm(x.tensor(), gain.tensor(), 0);
  for (Index r = 0; r < rows; ++r) {
    double mean = 0, square = 0, rms_square = 0;
    for (Index i = 0; i < c; ++i) {
      const Index at = r * c + i;
      mean += n.data[at] / static_cast<double>(c);
      square += n.data[at] * n.data[at] / static_cast<double>(c);
      CHECK(rms_gain.data[at] == Approx(gain.values[i] * rms.data[at]).epsilon(1e-12));
      rms_square += rms.data[at] * rms.data[at] / static_cast<double>(c);
      CHECK(y.data[at] == Approx(gain.values[i] * n.data[at] + bias.values[i]).epsilon(1e-12));
    }
    CHECK(std::fabs(mean) < 1e-13);
    CHECK(square == Approx(1).epsilon(1e-12));
    CHECK(rms_square == Approx(1).epsilon(1e-12));
  }
  // Epsilon is added to the variance (to the mean square): here 3^2 + 7 = 4^2.
  Leaf pair({1, 2}, Values{2, 8}), two({2}, Values{1, 1}), same({1, 2}, Values{-3, 3});
  CHECK(distance(values_of(layer_norm(pair.tensor(), two.tensor(), {}, 7)), Values{-0.75, 0.75}) < 1e-15);
  CHECK(distance(values_of(rms_norm(same.tensor(), two.tensor(), 7)), Values{-0.75, 0.75}) < 1e-15);
}

TEST_CASE("cross_entropy: log V for uniform logits, three classes by hand", "[ops]") {
  Tape tape;
  Tape::Scope scope(tape);
  for (Index vocab : {1, 2, 65, 1000}) {
    Leaf uniform({4, vocab}, Values(4 * vocab, 2.5));
    const std::vector<std::int32_t> targets = {0, static_cast<std::int32_t>(vocab - 1), ignored, 0};
    const double expected = std::log(static_cast<double>(vocab));
    CHECK(std::fabs(cross_entropy(uniform.tensor(), targets, {.divisor = 3}).data[0] - expected) < 1e-12);
    CHECK(std::fabs(cross_entropy(uniform.tensor(), targets, {3, 0.2}).data[0] - expected) < 1e-12);
  }
  tape.reset();  // the logits above are gone: no backward may reach them
  // p = (1/8, 2/8, 5/8).
  Leaf z({1, 3}, Values{0, std::log(2.0), std::log(5.0)});
  const std::vector<std::int32_t> second = {1};
  const Tensor loss = cross_entropy(z.tensor(), second);
  tape.backward(loss);
  CHECK(loss.shape == Shape{1});
  CHECK(loss.data[0] == Approx(std::log(4.0)).epsilon(1e-14));
  CHECK(distance(z.gradient, Values{1 / 8.0, 2 / 8.0 - 1, 5 / 8.0}) < 1e-15);
  // Smoothing 0.3: the target distribution is (0.1, 0.8, 0.1).
  const double smoothed = -0.1 * std::log(1 / 8.0) - 0.8 * std::log(2 / 8.0) - 0.1 * std::log(5 / 8.0);
  CHECK(cross_entropy(z.tensor(), second, {1, 0.3}).data[0] == Approx(smoothed).epsilon(1e-14));
  // Nothing to score.
  const std::vector<std::int32_t> none = {ignored};
  CHECK(cross_entropy(z.tensor(), none).data[0] == 0);
}

TEST_CASE("linear and matmul by hand", "[ops]") {
  Tape tape;
  Tape::Scope scope(tape);
  Leaf x({2, 3}, Values{1, 2, 3, 4, 5, 6}), w({2, 3}, Values{1, 0, -1, 2, 1, 0}), b({2}, Values{10, 20});
  CHECK(values_of(linear(x.tensor(), w.tensor(), b.tensor())) == Values{8, 24, 8, 33});
  CHECK(values_of(linear(x.tensor(), w.tensor(), {})) == Values{-2, 4, -2, 13});
  const Values product = {-2, 4, -2, 13};  // x w^T
  CHECK(values_of(matmul(x.tensor(), w.tensor(), false, true)) == product);
  Leaf xt({3, 2}, Values{1, 4, 2, 5, 3, 6}), wt({3, 2}, Values{1, 2, 0, 1, -1, 0});
  CHECK(values_of(matmul(x.tensor(), wt.tensor())) == product);
  CHECK(values_of(matmul(xt.tensor(), wt.tensor(), true, false)) == product);
  CHECK(values_of(matmul(xt.tensor(), w.tensor(), true, true)) == product);
  // A product over nothing is zero, and a row of no channels is mapped to the bias.
  Leaf empty({2, 0}, Values{}), no_columns({2, 0}, Values{});
  CHECK(values_of(matmul(empty.tensor(), no_columns.tensor(), false, true)) == Values{0, 0, 0, 0});
  CHECK(values_of(linear(empty.tensor(), no_columns.tensor(), b.tensor())) == Values{10, 20, 10, 20});
}

TEST_CASE("backward from a reshaped parameter adds to its gradient", "[tape]") {
  Leaf x({2, 2}, Values{1, 2, 3, 4});
  x.gradient = {100, 200, 300, 400};
  Tape tape;
  Tape::Scope scope(tape);
  const Values seed = {1, 2, 3, 4};
  tape.backward(reshape(x.tensor(), {4}), seed);
  CHECK(x.gradient == Values{101, 202, 303, 404});
}

// ---- LAPACK
// ------------------------------------------------------------------------------------------------

using Complex = std::complex<Real>;

// Whether the two lists hold the same numbers, in whatever order. Rounding decides the order of equal real
// parts, so each value takes the nearest that is left.
double mismatch(std::vector<Complex> got, const std::vector<Complex>& expected) {
  if (got.size() != expected.size()) return HUGE_VAL;
  double worst = 0;
  for (const Complex& e : expected) {
    const auto nearest = std::min_element(got.begin(), got.end(), [&](const Complex& a, const Complex& b) {
      return std::abs(a - e) < std::abs(b - e);
    });
    worst = std::max(worst, std::abs(*nearest - e));
    got.erase(nearest);
  }
  return worst;
}

// The matrix whose eigenvalues are the roots of x^n + a[n-1] x^(n-1) + ... + a[0].
Values companion(const Values& a) {
  const std::size_t n = a.size();
  Values matrix(n * n, 0);
  for (std::size_t i = 0; i < n; ++i) {
    if (i) matrix[i * n + i - 1] = 1;
    matrix[i * n + n - 1] = -a[i];
  }
  return matrix;
}

TEST_CASE("eigenvalues that are known", "[lapack]") {
  using lapack::eigenvalues;
  CHECK(mismatch(eigenvalues(Values{1, 0, 0, 0, 1, 0, 0, 0, 1}, 3), {1, 1, 1}) < 1e-15);
  CHECK(mismatch(eigenvalues(Values{-2, 0, 0, 0, 7, 0, 0, 0, 0.5}, 3), {0.5, -2, 7}) < 1e-15);
  CHECK(mismatch(eigenvalues(Values{42}, 1), {42}) == 0);
  for (double angle : {0.1, 1.0, 3.0}) {  // a rotation: e^(+-i angle)
    const double c = std::cos(angle), s = std::sin(angle);
    const std::vector<Complex> pair = eigenvalues(Values{c, -s, s, c}, 2);
    CHECK(mismatch(pair, {{c, s}, {c, -s}}) < 1e-15);
    CHECK(pair[0] == std::conj(pair[1]));
  }
  // Projectors: along (1, 1, 1, 1) onto what is perpendicular to it, and an oblique one.
  Values centring(16, -0.25);
  for (std::size_t i = 0; i < 4; ++i) centring[5 * i] += 1;
  CHECK(mismatch(eigenvalues(centring, 4), {0, 1, 1, 1}) < 1e-14);
  CHECK(mismatch(eigenvalues(Values{2, -2, 1, -1}, 2), {0, 1}) < 1e-14);
  // Rank one, u v^T: v.u, and zeros.
  const Values u = {1, 2, 3, -1}, v = {0.5, 1, -2, 3};
  Values outer;
  for (Real a : u)
    for (Real b : v) outer.push_back(a * b);
  CHECK(mismatch(eigenvalues(outer, 4), {0.5 + 2 - 6 - 3, 0, 0, 0}) < 1e-13);
  // Roots of polynomials: (x - 1)(x - 2)(x - 3)(x + 4), and (x^2 + 1)(x - 2).
  CHECK(mismatch(eigenvalues(companion({-24, 38, -13, -2}), 4), {1, 2, 3, -4}) < 1e-12);
  CHECK(mismatch(eigenvalues(companion({-2, 1, -2}), 3), {{0, 1}, {0, -1}, 2}) < 1e-13);
}

TEST_CASE("symmetric eigenvalues that are known", "[lapack]") {
  using lapack::symmetric_eigenvalues;
  CHECK(distance(symmetric_eigenvalues(Values{2, 1, 1, 2}, 2), Values{1, 3}) < 1e-15);
  CHECK(distance(symmetric_eigenvalues(Values{1, 99, 2, -2}, 2), Values{-3, 2}) < 1e-14);  // 99 is not read
  CHECK(distance(symmetric_eigenvalues(Values{5, 0, 0, 0, -1, 0, 0, 0, 3}, 3), Values{-1, 3, 5}) < 1e-15);
  // The second difference with fixed ends: 2 - 2 cos(k pi / (n + 1)).
  const Index n = 6;
  Values matrix(36, 0), expected;
  for (Index i = 0; i < n; ++i) {
    matrix[i * n + i] = 2;
    if (i) matrix[i * n + i - 1] = matrix[(i - 1) * n + i] = -1;
    expected.push_back(2 - 2 * std::cos(static_cast<double>(i + 1) * std::numbers::pi / 7));
  }
  CHECK(distance(symmetric_eigenvalues(matrix, n), expected) < 1e-14);
}

TEST_CASE("singular values that are known", "[lapack]") {
  using lapack::singular_values;
  const double c = std::cos(0.7), s = std::sin(0.7);
  CHECK(distance(singular_values(Values{c, -s, s, c}, 2, 2), Values{1, 1}) < 1e-15);
  CHECK(distance(singular_values(Values{2, 0, 0, 0, -5, 0, 0, 0, 3}, 3, 3), Values{5, 3, 2}) < 1e-14);
  // Rows and columns must not be confused: wide and tall.
  CHECK(distance(singular_values(Values{3, 0, 0, 0, 0, 2}, 2, 3), Values{3, 2}) < 1e-14);
  CHECK(distance(singular_values(Values{3, 0, 0, 0, 0, 2}, 3, 2), Values{3, 2}) < 1e-14);
  CHECK(distance(singular_values(Values{3, 4, 0, 0, 0, 0}, 2, 3), Values{5, 0}) < 1e-14);
  CHECK(distance(singular_values(Values{3, 4, 0, 0, 0, 0}, 3, 2), Values{5, 0}) < 1e-14);
  CHECK(distance(singular_values(Values{0, 3, 4, 0, 0, 0}, 3, 2), Values{4, 3}) < 1e-14);
  // Rank one, u v^T: |u| |v|, and zeros.
  CHECK(distance(singular_values(Values{2, 4, 4, 1, 2, 2, 2, 4, 4}, 3, 3), Values{9, 0, 0}) < 1e-14);
}

TEST_CASE("matrices that are empty, of the wrong size or not finite", "[lapack]") {
  using namespace lapack;
  CHECK(eigenvalues({}, 0).empty());
  CHECK(symmetric_eigenvalues({}, 0).empty());
  CHECK(singular_values({}, 0, 3).empty());
  CHECK(singular_values({}, 3, 0).empty());
  const Values five(5, 1.0), six(6, 1.0);
  check_throws([&] { eigenvalues(five, 2); }, {"geev", "got 5 numbers", "expected 4"});
  check_throws([&] { eigenvalues(five, 0); }, {"geev", "got 5 numbers", "expected 0"});
  check_throws([&] { symmetric_eigenvalues(five, 3); }, {"syevd", "got 5 numbers", "expected 9"});
  check_throws([&] { singular_values(five, 2, 3); }, {"gesdd", "got 5 numbers", "expected 6"});
  for (double wrong : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const Values matrix = {1, 2, wrong, 4};
    check_throws<NumericalError>([&] { eigenvalues(matrix, 2); }, {"geev: the matrix contains NaN"});
    check_throws<NumericalError>([&] { symmetric_eigenvalues(matrix, 2); }, {"syevd"});
    check_throws<NumericalError>([&] { singular_values(matrix, 4, 1); }, {"gesdd"});
  }
}

TEST_CASE("LAPACK leaves its input as it is", "[lapack]") {
  const Values before = {1, 2, 3, 4, 5, 6, 7, 8, 10};
  Values matrix = before;
  lapack::eigenvalues(matrix, 3);
  lapack::symmetric_eigenvalues(matrix, 3);
  lapack::singular_values(matrix, 3, 3);
  CHECK(matrix == before);
}

}  // namespace
}  // namespace ef
