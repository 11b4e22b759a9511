// The spectral ops: known spectra, gradients against central differences and against closed forms on matrices
// of every kind that a training meets, and where eigenvalues have no gradient.
#include <array>
#include <complex>
#include <functional>
#include <thread>

#include "engine/lapack.h"
#include "engine/ops.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using Values = std::vector<Real>;
using Complex = std::complex<Real>;

// ---- Matrices -------------------------------------------------------------------------------------------

Values normal(Index rows, Index columns, std::uint64_t seed) { return Leaf({rows, columns}, seed).values; }

std::size_t index(Index i) { return static_cast<std::size_t>(i); }

Values product(const Values& a, const Values& b, Index m, Index k, Index n) {
  Values c(index(m * n), 0);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      for (Index l = 0; l < k; ++l) c[index(i * n + j)] += a[index(i * k + l)] * b[index(l * n + j)];
    }
  }
  return c;
}

Values transposed(const Values& a, Index m, Index n) {
  Values t(a.size());
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) t[index(j * m + i)] = a[index(i * n + j)];
  }
  return t;
}

Values scaled(Values a, double factor) {
  for (Real& x : a) x *= factor;
  return a;
}

Values plus(Values a, const Values& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

Values identity(Index n) {
  Values a(index(n * n), 0);
  for (Index i = 0; i < n; ++i) a[index(i * n + i)] = 1;
  return a;
}

// By Gauss and Jordan, with the largest pivot of each column.
Values inverse(Values a, Index n) {
  Values b = identity(n);
  for (Index c = 0; c < n; ++c) {
    Index pivot = c;
    for (Index i = c; i < n; ++i) {
      if (std::fabs(a[index(i * n + c)]) > std::fabs(a[index(pivot * n + c)])) pivot = i;
    }
    for (Index j = 0; j < n; ++j) {
      std::swap(a[index(c * n + j)], a[index(pivot * n + j)]);
      std::swap(b[index(c * n + j)], b[index(pivot * n + j)]);
    }
    const Real d = a[index(c * n + c)];
    for (Index j = 0; j < n; ++j) {
      a[index(c * n + j)] /= d;
      b[index(c * n + j)] /= d;
    }
    for (Index i = 0; i < n; ++i) {
      if (i == c) continue;
      const Real f = a[index(i * n + c)];
      for (Index j = 0; j < n; ++j) {
        a[index(i * n + j)] -= f * a[index(c * n + j)];
        b[index(i * n + j)] -= f * b[index(c * n + j)];
      }
    }
  }
  return b;
}

// e^a by its series, after halving a until it is small, and squaring.
Values exponential(const Values& a, Index n) {
  Values term = identity(n), total = identity(n);
  for (int k = 1; k < 25; ++k) {
    term = scaled(product(term, a, n, n, n), 1 / (64.0 * k));
    total = plus(total, term);
  }
  for (int k = 0; k < 6; ++k) total = product(total, total, n, n, n);
  return total;
}

// Invertible, far from orthogonal, but not ill-conditioned.
Values well_conditioned(Index n, std::uint64_t seed) {
  return plus(identity(n), scaled(normal(n, n, seed), 0.4 / std::sqrt(static_cast<double>(n))));
}

// Not symmetric, with these eigenvalues; of a pair the one with the positive imaginary part is given.
Values planted(const std::vector<Complex>& values, std::uint64_t seed) {
  Index n = 0;
  for (const Complex& value : values) n += value.imag() == 0 ? 1 : 2;
  Values blocks(index(n * n), 0);
  Index i = 0;
  for (const Complex& value : values) {
    blocks[index(i * n + i)] = value.real();
    if (value.imag() != 0) {
      blocks[index(i * n + i + 1)] = -value.imag();
      blocks[index((i + 1) * n + i)] = value.imag();
      ++i;
      blocks[index(i * n + i)] = value.real();
    }
    ++i;
  }
  const Values s = well_conditioned(n, seed);
  return product(product(s, blocks, n, n, n), inverse(s, n), n, n, n);
}

Values jordan(Index n, double value) {
  Values a = scaled(identity(n), value);
  for (Index i = 0; i + 1 < n; ++i) a[index(i * n + i + 1)] = 1;
  return a;
}

// r orthonormal columns [m, r], r <= m, by Gram and Schmidt, twice for accuracy.
Values orthonormal(Index m, Index r, std::uint64_t seed) {
  Values a = normal(m, r, seed);
  for (Index c = 0; c < r; ++c) {
    const auto column_dot = [&](Index x, Index y) {
      Real total = 0;
      for (Index i = 0; i < m; ++i) total += a[index(i * r + x)] * a[index(i * r + y)];
      return total;
    };
    for (int pass = 0; pass < 2; ++pass) {
      for (Index b = 0; b < c; ++b) {
        const Real overlap = column_dot(b, c);
        for (Index i = 0; i < m; ++i) a[index(i * r + c)] -= overlap * a[index(i * r + b)];
      }
    }
    const Real length = std::sqrt(column_dot(c, c));
    for (Index i = 0; i < m; ++i) a[index(i * r + c)] /= length;
  }
  return a;
}

Values diagonal(const Values& d) {
  const Index n = static_cast<Index>(d.size());
  Values a(index(n * n), 0);
  for (Index i = 0; i < n; ++i) a[index(i * n + i)] = d[index(i)];
  return a;
}

// ---- Calling the ops ------------------------------------------------------------------------------------

using Op = std::function<Tensor(const Tensor&)>;

// One tape for all calls: fresh memory from the system costs more than a small op.
Tape& fresh_tape() {
  static Tape tape;
  tape.reset();
  return tape;
}

Values forward(const Op& op, const Shape& shape, const Values& matrix) {
  Leaf a(shape, matrix);
  Tape& tape = fresh_tape();
  Tape::Scope scope(tape);
  return values_of(op(a.constant()));
}

// With a gradient also where it is empty, as a std::vector of nothing has no address.
Tensor parameter(Leaf& leaf) {
  static Real nothing = 0;
  Tensor x = leaf.tensor();
  if (leaf.values.empty()) x.data = x.grad = &nothing;
  return x;
}

struct Reading {
  Values y, gradient;
};
// The op's value, and its gradient for the seed that `slope` makes of it.
Reading read(const Op& op, const Shape& shape, const Values& matrix,
             const std::function<Values(const Values&)>& slope) {
  Leaf a(shape, matrix);
  Tape& tape = fresh_tape();
  Tape::Scope scope(tape);
  const Tensor y = op(parameter(a));
  const Values values = values_of(y);
  tape.backward(y, slope(values));
  return {values, a.gradient};
}

// The gradient of the sum of the numbers at these places.
Values gradient_of_sum(const Op& op, const Shape& shape, const Values& matrix,
                       const std::vector<std::size_t>& places) {
  const auto ones = [&](const Values& y) {
    Values seed(y.size(), 0);
    for (std::size_t i : places) seed[i] = 1;
    return seed;
  };
  return read(op, shape, matrix, ones).gradient;
}

double largest(const Values& x) {
  double m = 0;
  for (Real v : x) m = std::max(m, static_cast<double>(std::fabs(v)));
  return m;
}

// ---- Functions of a spectrum ----------------------------------------------------------------------------

// A function of an op's output, and its derivative.
struct Function {
  std::string name;
  std::function<double(const Values&)> value;
  std::function<Values(const Values&)> slope;
};

// sum of phi(re, im) over the rows of [N, 2], and its derivatives, for eigenvalues of the size of `unit`.
Function summed(const std::string& name, double unit, double (*phi)(double, double),
                std::array<double, 2> (*slope)(double, double)) {
  return {name,
          [=](const Values& y) {
            double total = 0;
            for (std::size_t i = 0; i < y.size(); i += 2) total += phi(y[i] / unit, y[i + 1] / unit);
            return total;
          },
          [=](const Values& y) {
            Values g(y.size());
            for (std::size_t i = 0; i < y.size(); i += 2) {
              const auto d = slope(y[i] / unit, y[i + 1] / unit);
              g[i] = d[0] / unit;
              g[i + 1] = d[1] / unit;
            }
            return g;
          }};
}

// Re of an analytic function of lambda: differentiable in the matrix also where eigenvalues meet.
std::vector<Function> analytic_functions(double unit) {
  return {summed(
              "Re lambda^3", unit, [](double x, double y) { return x * x * x - 3 * x * y * y; },
              [](double x, double y) {
                return std::array{3 * x * x - 3 * y * y, -6 * x * y};
              }),
          summed(
              "Re e^lambda", unit, [](double x, double y) { return std::exp(x) * std::cos(y); },
              [](double x, double y) {
                return std::array{std::exp(x) * std::cos(y), -std::exp(x) * std::sin(y)};
              })};
}

// Smooth where eigenvalues are distinct.
std::vector<Function> functions_of_distinct(double unit) {
  std::vector<Function> all = analytic_functions(unit);
  all.push_back(summed(
      "|lambda|^2", unit, [](double x, double y) { return x * x + y * y; },
      [](double x, double y) {
        return std::array{2 * x, 2 * y};
      }));
  all.push_back(summed(
      "log(1 + |lambda|^2) + Re lambda", unit,
      [](double x, double y) { return std::log1p(x * x + y * y) + x; },
      [](double x, double y) {
        const double d = 2 / (1 + x * x + y * y);
        return std::array{1 + d * x, d * y};
      }));
  return all;
}

// A weight of its own for each place: for spectra in which places are not exchanged.
Function weighted(double unit) {
  const auto weight = [](std::size_t i) { return std::cos(2.0 * static_cast<double>(i) + 1); };
  return {"weighted sum",
          [=](const Values& y) {
            double total = 0;
            for (std::size_t i = 0; i < y.size(); ++i) total += weight(i) * y[i] / unit;
            return total;
          },
          [=](const Values& y) {
            Values g(y.size());
            for (std::size_t i = 0; i < y.size(); ++i) g[i] = weight(i) / unit;
            return g;
          }};
}

// |gradient - differences| / |differences|, by the largest numbers. Differences of fourth order:
// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h.
double gradient_error(const Op& op, const Function& f, const Shape& shape, const Values& matrix,
                      double unit) {
  const Reading reading = read(op, shape, matrix, f.slope);
  const double h = 1e-4 * unit;
  Values numeric(matrix.size()), at = matrix;
  const auto value = [&](std::size_t i, double step) {
    at[i] = matrix[i] + step;
    const double result = f.value(forward(op, shape, at));
    at[i] = matrix[i];
    return result;
  };
  for (std::size_t i = 0; i < matrix.size(); ++i)
    numeric[i] = (8 * (value(i, h) - value(i, -h)) - (value(i, 2 * h) - value(i, -2 * h))) / (12 * h);
  return distance(reading.gradient, numeric) / largest(numeric);
}

struct Worst {
  double error = 0;
  std::string where;
  void operator()(double e, const std::string& text) {
    if (e <= error) return;  // false for NaN
    error = std::isnan(e) ? HUGE_VAL : e;
    where = text;
  }
};

// ---- Eigenvalues ----------------------------------------------------------------------------------------

struct Known {
  std::string name;
  Values matrix;
  std::vector<Complex> expected;  // in any order
  double tolerance = 1e-14;
};

std::vector<Known> known_spectra() {
  std::vector<Known> all;
  all.push_back({"nothing", {}, {}});
  all.push_back({"one number", {-7}, {-7}, 0});
  all.push_back({"zero", Values(9, 0), {0, 0, 0}, 0});
  all.push_back({"identity", identity(4), {1, 1, 1, 1}, 0});
  Values centring(16, -0.25);
  for (std::size_t i = 0; i < 4; ++i) centring[5 * i] += 1;
  all.push_back({"projector", centring, {1, 1, 1, 0}});
  all.push_back({"oblique projector", {2, -2, 1, -1}, {1, 0}});
  for (double angle : {0.1, 1.0, 3.0}) {
    const double c = std::cos(angle), s = std::sin(angle);
    all.push_back({"rotation", {c, -s, s, c}, {{c, s}, {c, -s}}});
    all.push_back({"rotation backwards", {c, s, -s, c}, {{c, s}, {c, -s}}});
  }
  for (double d : {1e-4, 1e-8, 1e-12}) {
    // An error of epsilon in the matrix is one of epsilon / sqrt(d) in its eigenvalues.
    const double root = std::sqrt(d), tolerance = 1e-15 / root;
    all.push_back({"perturbed Jordan block", {2, 1, d, 2}, {2 + root, 2 - root}, tolerance});
    all.push_back({"turned Jordan block", {2, 1, -d, 2}, {{2, root}, {2, -root}}, tolerance});
  }
  const Values u = {1, 2, 3, -1}, v = {0.5, 1, -2, 3};
  all.push_back({"rank one", product(u, v, 4, 1, 4), {0, 0, 0, 0.5 + 2 - 6 - 3}});
  all.push_back({"planted, real", planted({-1, 3, 0.5, 2, -4}, 1), {3, 2, 0.5, -1, -4}, 1e-13});
  all.push_back({"planted, pairs",
                 planted({{1, 2}, -3, {-0.5, 0.25}, {1, 0.5}, 1.5}, 2),
                 {1.5, {1, 2}, {1, -2}, {1, 0.5}, {1, -0.5}, {-0.5, 0.25}, {-0.5, -0.25}, -3},
                 1e-13});
  // (x - 1)(x - 2)(x - 3)(x + 4), and (x^2 + 1)(x - 2): the last column holds the coefficients.
  all.push_back(
      {"companion, real", {0, 0, 0, 24, 1, 0, 0, -38, 0, 1, 0, 13, 0, 0, 1, 2}, {3, 2, 1, -4}, 1e-12});
  all.push_back({"companion, a pair", {0, 0, 2, 1, 0, -1, 0, 1, 2}, {2, {0, 1}, {0, -1}}, 1e-13});
  return all;
}

// The largest distance of an expected number to the nearest of those that are left.
double mismatch(const Values& y, std::vector<Complex> expected) {
  if (y.size() != 2 * expected.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < y.size(); i += 2) {
    const Complex z(y[i], y[i + 1]);
    const auto nearest = std::min_element(expected.begin(), expected.end(), [&](Complex a, Complex b) {
      return std::abs(a - z) < std::abs(b - z);
    });
    worst = std::max(worst, static_cast<double>(std::abs(*nearest - z)));
    expected.erase(nearest);
  }
  return worst;
}

TEST_CASE("eigenvalues: known ones, in order, with and without a gradient, at any scale", "[spectral]") {
  for (const Known& known : known_spectra()) {
    const Index n = static_cast<Index>(known.expected.size());
    for (double unit : {1.0, 1e6, 1e-6, 1e100, 1e-100}) {
      INFO(known.name << " times " << unit);
      const Values matrix = scaled(known.matrix, unit);
      const auto ones = [](const Values& y) { return Values(y.size(), 1); };
      const Reading recorded = read(eigenvalues, {n, n}, matrix, ones);
      for (const Values& y : {forward(eigenvalues, {n, n}, matrix), recorded.y}) {
        CHECK(mismatch(scaled(y, 1 / unit), known.expected) <= known.tolerance + 2e-15);
        for (std::size_t i = 0; i < y.size(); i += 2) {
          if (i) CHECK(y[i - 2] >= y[i]);
          if (y[i + 1] > 0) CHECK((y[i + 2] == y[i] && y[i + 3] == -y[i + 1]));
          if (y[i + 1] < 0) CHECK(y[i - 1] == -y[i + 1]);
        }
      }
      CHECK(std::isfinite(largest(recorded.gradient)));
    }
  }
}

TEST_CASE("eigenvalues of equal real part: by imaginary part, pairs together", "[spectral]") {
  // 2 x 2 blocks are their own Schur form: no real part is rounded.
  Values m = diagonal({1, 1, 1, 1, 3, 1, 1, 1, -1});
  const auto set_pair = [&](Index i, double im) {
    m[index(9 * i + i + 1)] = -im;
    m[index(9 * (i + 1) + i)] = im;
  };
  set_pair(0, 0.5);
  set_pair(2, 2);
  set_pair(5, 2);
  const Values expected = {3, 0, 1, 2, 1, -2, 1, 2, 1, -2, 1, 0.5, 1, -0.5, 1, 0, -1, 0};
  CHECK(distance(forward(eigenvalues, {9, 9}, m), expected) < 1e-15);
  CHECK(distance(read(eigenvalues, {9, 9}, m, [](const Values& y) { return y; }).y, expected) < 1e-15);
}

struct Kind {
  std::string name;
  std::function<Values(Index n, std::uint64_t seed)> matrix;
  std::vector<Function> (*functions)(double unit);
  bool places = false;  // whether no two eigenvalues come near each other
  Index least = 2;
  Index step = 1;  // n = least, least + step, ...
};

std::vector<Kind> kinds() {
  const auto spread = [](Index n, bool pairs) {
    std::vector<Complex> values;
    for (Index i = 0; i < n;) {
      const bool pair = pairs && i + 1 < n && i % 3 != 2;
      const double re = 1 - 0.4 * static_cast<double>(i);
      values.emplace_back(re, pair ? 0.7 + 0.1 * static_cast<double>(i) : 0);
      i += pair ? 2 : 1;
    }
    return values;
  };
  return {
      {"random", [](Index n, std::uint64_t seed) { return normal(n, n, seed); }, functions_of_distinct},
      {"symmetric",
       [](Index n, std::uint64_t seed) {
         const Values a = normal(n, n, seed);
         return scaled(plus(a, transposed(a, n, n)), 0.5);
       },
       functions_of_distinct},
      {"antisymmetric: all real parts are 0",
       [](Index n, std::uint64_t seed) {
         const Values a = normal(n, n, seed);
         return plus(a, scaled(transposed(a, n, n), -1));
       },
       functions_of_distinct},
      {"distinct real", [=](Index n, std::uint64_t seed) { return planted(spread(n, false), seed); },
       functions_of_distinct, true},
      {"distinct pairs", [=](Index n, std::uint64_t seed) { return planted(spread(n, true), seed); },
       functions_of_distinct, true},
      {"rank-deficient",
       [](Index n, std::uint64_t seed) {
         const Index r = 1 + static_cast<Index>(seed) % (n - 1);
         return product(normal(n, r, seed), scaled(normal(r, n, seed + 100), 0.4), n, r, n);
       },
       analytic_functions},
      {"rank one of small integers",
       [](Index n, std::uint64_t seed) {
         Values a(index(n * n));
         for (Index i = 0; i < n; ++i) {
           for (Index j = 0; j < n; ++j)
             a[index(i * n + j)] =
                 static_cast<double>((i + 1) * ((j + static_cast<Index>(seed)) % 3 - 1)) / 8;
         }
         return a;
       },
       analytic_functions},
      {"repeated",
       [](Index n, std::uint64_t seed) {
         std::vector<Complex> values(index(n), Complex(-0.5));
         for (Index i = 0; i < n / 2; ++i) values[index(i)] = 1;
         return planted(values, seed);
       },
       analytic_functions},
      {"repeated pairs",
       [](Index n, std::uint64_t seed) {
         return planted(std::vector<Complex>(index(n / 2), Complex(0.5, 1)), seed);
       },
       analytic_functions, false, 2, 2},
      {"identity", [](Index n, std::uint64_t) { return identity(n); }, analytic_functions},
      {"one number", [](Index, std::uint64_t seed) { return normal(1, 1, seed); }, functions_of_distinct,
       true, 1, 0},
  };
}

TEST_CASE("gradients of functions of eigenvalues agree with central differences", "[spectral]") {
  for (const Kind& kind : kinds()) {
    const Index before = near_defective_count();
    for (double unit : {1.0, 1e6, 1e-6}) {
      Worst worst;
      for (std::uint64_t seed = 1; seed <= 42; ++seed) {  // 21 matrices of odd size, 21 of even
        const Index n = kind.least + kind.step * (static_cast<Index>(seed) % 6);
        const Values matrix = scaled(kind.matrix(n, seed), unit);
        std::vector<Function> functions = kind.functions(unit);
        if (kind.places) functions.push_back(weighted(unit));
        for (const Function& f : functions)
          worst(gradient_error(eigenvalues, f, {n, n}, matrix, unit),
                f.name + ", n = " + std::to_string(n) + ", seed " + std::to_string(seed));
      }
      INFO(kind.name << " times " << unit << ": " << worst.where);
      CAPTURE(worst.error);
      CHECK(worst.error < 1e-6);
    }
    INFO(kind.name);
    CHECK(near_defective_count() == before);
  }
}

TEST_CASE("the gradient of tr f(M) is f'(M)^T: M^3 and e^M", "[spectral]") {
  for (const Kind& kind : kinds()) {
    for (std::uint64_t seed = 1; seed <= 42; ++seed) {
      const Index n = kind.least + kind.step * (static_cast<Index>(seed) % 6);
      const Values m = scaled(kind.matrix(n, seed), 0.5);
      INFO(kind.name << ", n = " << n << ", seed " << seed);
      const std::vector<Function> functions = analytic_functions(1);
      const Values cubic = transposed(scaled(product(m, m, n, n, n), 3), n, n);
      const Values exponent = transposed(exponential(m, n), n, n);
      CHECK(distance(read(eigenvalues, {n, n}, m, functions[0].slope).gradient, cubic) <
            1e-11 * (1 + largest(cubic)));
      CHECK(distance(read(eigenvalues, {n, n}, m, functions[1].slope).gradient, exponent) <
            1e-11 * (1 + largest(exponent)));
    }
  }
  // At zero e^M is the identity, and no eigenvalue is defective.
  const Index before = near_defective_count();
  for (Index n : {0, 1, 2, 5}) {
    const Values zero(index(n * n), 0);
    CHECK(read(eigenvalues, {n, n}, zero, analytic_functions(1)[1].slope).gradient == identity(n));
  }
  CHECK(near_defective_count() == before);
}

TEST_CASE("larger matrices: eigenvalues, and the gradient of tr e^M", "[spectral]") {
  for (Index n : {33, 64}) {
    const Values m = scaled(normal(n, n, 3), 1 / std::sqrt(static_cast<double>(n)));
    const Values exponent = transposed(exponential(m, n), n, n);
    CHECK(distance(read(eigenvalues, {n, n}, m, analytic_functions(1)[1].slope).gradient, exponent) < 1e-10);
  }
}

TEST_CASE("an eigenvalue that nears a defective one: the gradient grows as it should", "[spectral]") {
  // lambda = 2 +- sqrt(d) of [[2, 1], [d, 2]]: dlambda = [[1, sqrt d], [1 / sqrt d, 1]] / 2 for the first.
  for (double d : {1e-2, 1e-6, 1e-10, 1e-13}) {
    const double root = std::sqrt(d);
    const Index before = near_defective_count();
    const Values gradient = gradient_of_sum(eigenvalues, {2, 2}, {2, 1, d, 2}, {0});
    INFO("d = " << d);
    CHECK(distance(gradient, Values{0.5, root / 2, 0.5 / root, 0.5}) * root < 1e-14 / d);
    CHECK(near_defective_count() == before);
  }
}

TEST_CASE("near-defective eigenvalues are left out of the gradient, and counted", "[spectral]") {
  const auto all = [](const Values& y) { return Values(y.size(), 1); };
  for (double unit : {1.0, 1e6, 1e-6}) {
    for (double value : {0.0, 1.0, -3.0}) {
      for (Index n : {2, 3, 4, 30}) {  // of 30: |u^H v| underflows to 0
        INFO("Jordan block of " << n << " with " << value << ", times " << unit);
        Index before = near_defective_count();
        const Values m = scaled(jordan(n, value), unit);
        CHECK(read(eigenvalues, {n, n}, m, all).gradient == Values(index(n * n), 0));
        CHECK(near_defective_count() == before + n);
        CHECK(read(eigenvalues, {n, n}, transposed(m, n, n), all).gradient == Values(index(n * n), 0));
        // Split by less than can be resolved.
        Values split = m;
        split[index((n - 1) * n)] = 1e-16 * unit;
        before = near_defective_count();
        CHECK(largest(read(eigenvalues, {n, n}, split, all).gradient) < 1e8);
        if (n == 2) CHECK(near_defective_count() == before + 2);
      }
    }
  }
  // Two equal pairs that share one vector each: [[R, 1], [0, R]] for a rotation R.
  const double c = std::cos(1.0), s = std::sin(1.0);
  const Values pairs = {c, -s, 1, 0, s, c, 0, 1, 0, 0, c, -s, 0, 0, s, c};
  Index before = near_defective_count();
  CHECK(read(eigenvalues, {4, 4}, pairs, all).gradient == Values(16, 0));
  CHECK(near_defective_count() == before + 4);

  // The other eigenvalues of the matrix keep their gradients.
  Values mixed = diagonal({1, 1, 3, -2});
  mixed[1] = 1;
  before = near_defective_count();
  const Values gradient = read(eigenvalues, {4, 4}, mixed, all).gradient;
  CHECK(distance(gradient, diagonal({0, 0, 1, 1})) < 1e-14);
  CHECK(near_defective_count() == before + 2);
}

TEST_CASE("only what a backward leaves out is counted, on every thread", "[spectral]") {
  const Index before = near_defective_count();
  const Values block = jordan(2, 1);
  forward(eigenvalues, {2, 2}, block);
  read(eigenvalues, {2, 2}, block, [](const Values& y) { return Values(y.size(), 0); });
  CHECK(near_defective_count() == before);

  const Index threads = 4, rounds = 50;
  std::vector<std::thread> list;
  for (Index i = 0; i < threads; ++i) {
    list.emplace_back([&] {
      Tape tape;
      Tape::Scope scope(tape);
      for (Index round = 0; round < rounds; ++round) {
        tape.reset();
        Leaf a({2, 2}, block);
        tape.backward(eigenvalues(a.tensor()), Values{1, 0, 1, 0});
      }
    });
  }
  for (std::thread& thread : list) thread.join();
  CHECK(near_defective_count() == before + threads * rounds * 2);
}

// ---- Symmetric eigenvalues and singular values ----------------------------------------------------------

// Sums of smooth functions, even ones, as a singular value is differentiable only as a square at 0.
std::vector<Function> even_functions(double unit) {
  const auto sum_of = [unit](const std::string& name, double (*phi)(double), double (*slope)(double)) {
    return Function{name,
                    [=](const Values& y) {
                      double total = 0;
                      for (Real x : y) total += phi(x / unit);
                      return total;
                    },
                    [=](Values y) {
                      for (Real& x : y) x = slope(x / unit) / unit;
                      return y;
                    }};
  };
  return {sum_of(
              "cos", [](double x) { return std::cos(x); }, [](double x) { return -std::sin(x); }),
          sum_of(
              "log(1 + x^2)", [](double x) { return std::log1p(x * x); },
              [](double x) { return 2 * x / (1 + x * x); })};
}

TEST_CASE("symmetric_eigenvalues: known ones, and gradients", "[spectral]") {
  CHECK(distance(forward(symmetric_eigenvalues, {2, 2}, {2, 1, 1, 2}), Values{1, 3}) < 1e-15);
  CHECK(distance(forward(symmetric_eigenvalues, {2, 2}, {1, 99, -95, -2}), Values{-3, 2}) < 1e-14);
  CHECK(forward(symmetric_eigenvalues, {0, 0}, {}).empty());
  CHECK(forward(symmetric_eigenvalues, {1, 1}, {5}) == Values{5});
  CHECK(forward(symmetric_eigenvalues, {3, 3}, Values(9, 0)) == Values(3, 0));
  CHECK(distance(gradient_of_sum(symmetric_eigenvalues, {2, 2}, {2, 1, 1, 2}, {1}), Values(4, 0.5)) < 1e-15);
  CHECK(distance(gradient_of_sum(symmetric_eigenvalues, {3, 3}, Values(9, 0), {0, 1, 2}), identity(3)) <
        1e-15);

  for (double unit : {1.0, 1e6, 1e-6}) {
    Worst worst;
    for (std::uint64_t seed = 1; seed <= 42; ++seed) {
      const Index n = 1 + static_cast<Index>(seed) % 7, r = 1 + static_cast<Index>(seed) % n;
      const Values v = orthonormal(n, n, seed);
      Values distinct, repeated;
      for (Index i = 0; i < n; ++i) {
        distinct.push_back(1.5 - 0.5 * static_cast<double>(i));
        repeated.push_back(i % 2 ? 1 : -0.5);
      }
      const auto symmetric = [&](const Values& values) {
        return scaled(product(product(v, diagonal(values), n, n, n), transposed(v, n, n), n, n, n), unit);
      };
      const Values thin = normal(n, r, seed);
      const std::vector<Values> matrices = {
          scaled(normal(n, n, seed), unit),  // not symmetric: (a + a^T) / 2 is meant
          scaled(product(thin, transposed(thin, n, r), n, r, n), 0.2 * unit), symmetric(repeated),
          scaled(identity(n), unit)};
      for (const Values& m : matrices) {
        for (const Function& f : even_functions(unit))
          worst(gradient_error(symmetric_eigenvalues, f, {n, n}, m, unit), f.name);
      }
      worst(gradient_error(symmetric_eigenvalues, weighted(unit), {n, n}, symmetric(distinct), unit),
            "weighted");
      const Values gradient = read(symmetric_eigenvalues, {n, n}, matrices[0], weighted(unit).slope).gradient;
      CHECK(distance(gradient, transposed(gradient, n, n)) * unit < 1e-14);
    }
    INFO("times " << unit << ": " << worst.where);
    CAPTURE(worst.error);
    CHECK(worst.error < 1e-6);
  }
}

TEST_CASE("singular_values: planted ones, and gradients", "[spectral]") {
  CHECK(forward(singular_values, {0, 3}, {}).empty());
  CHECK(forward(singular_values, {3, 0}, {}).empty());
  CHECK(forward(singular_values, {1, 1}, {-5}) == Values{5});
  CHECK(gradient_of_sum(singular_values, {1, 1}, {-5}, {0}) == Values{-1});
  for (double unit : {1.0, 1e6, 1e-6}) {
    Worst worst;
    for (std::uint64_t seed = 1; seed <= 42; ++seed) {
      const Index m = 1 + static_cast<Index>(seed) % 5, n = 1 + static_cast<Index>(seed) % 7;
      const Index r = std::min(m, n);
      const Values u = orthonormal(m, r, seed), v = orthonormal(n, r, seed + 50);
      const auto matrix = [&](const Values& values) {
        return scaled(product(product(u, diagonal(values), m, r, r), transposed(v, n, r), m, r, n), unit);
      };
      Values distinct, repeated, deficient;
      for (Index i = 0; i < r; ++i) {
        distinct.push_back(2.5 - 0.4 * static_cast<double>(i));
        repeated.push_back(i < 2 ? 1.5 : 0.5);
        deficient.push_back(i < r / 2 ? 1.5 : 0);
      }
      for (const Values& values : {distinct, repeated, deficient}) {
        CHECK(distance(scaled(forward(singular_values, {m, n}, matrix(values)), 1 / unit), values) < 1e-14);
        const auto ones = [](const Values& y) { return Values(y.size(), 1); };
        const Reading recorded = read(singular_values, {m, n}, matrix(values), ones);
        CHECK(distance(scaled(recorded.y, 1 / unit), values) < 1e-14);
        // Also at 0 the gradient of the sum is one of norm 1: U V^T.
        CHECK(largest(recorded.gradient) < 1 + 1e-14);
      }
      for (const Values& values : {distinct, repeated, deficient}) {
        if (largest(values) == 0) continue;
        for (const Function& f : even_functions(unit))
          worst(gradient_error(singular_values, f, {m, n}, matrix(values), unit), f.name);
      }
      worst(gradient_error(singular_values, weighted(unit), {m, n}, matrix(distinct), unit), "weighted");
      worst(gradient_error(singular_values, even_functions(unit)[1], {m, n}, scaled(normal(m, n, seed), unit),
                           unit),
            "random");
    }
    INFO("times " << unit << ": " << worst.where);
    CAPTURE(worst.error);
    CHECK(worst.error < 1e-6);
  }
  // Zero: all of it finite.
  const Values gradient = gradient_of_sum(singular_values, {3, 2}, Values(6, 0), {0, 1});
  CHECK(std::isfinite(largest(gradient)));
}

// ---- The product W = q^T k ------------------------------------------------------------------------------

using ProductOp = Tensor (*)(const Tensor&, const Tensor&);

struct ProductReading {
  Values y, dq, dk;
};
ProductReading read(ProductOp op, const Shape& shape, const Values& q, const Values& k) {
  Leaf a(shape, q), b(shape, k);
  Tape& tape = fresh_tape();
  Tape::Scope scope(tape);
  const Tensor y = op(parameter(a), parameter(b));
  const Values values = values_of(y);
  tape.backward(y, Values{0.75});
  return {values, a.gradient, b.gradient};
}

TEST_CASE("readings of a product are those of the product formed", "[spectral]") {
  for (const auto& pair :
       std::vector<std::array<Index, 2>>{{1, 1}, {1, 5}, {3, 7}, {4, 4}, {5, 2}, {16, 33}, {0, 3}, {3, 0}}) {
    const Index d = pair[0], c = pair[1];  // clang captures no structured binding
    for (double unit : {1.0, 1e6, 1e-6, 0.0}) {
      INFO("q, k [" << d << ", " << c << "] times " << unit);
      const Values q = scaled(normal(d, c, 1), unit), k = scaled(normal(d, c, 2), unit);
      const Values w = product(transposed(q, d, c), k, c, d, c), wt = transposed(w, c, c);
      const auto close = [](const Values& a, const Values& b) {
        return distance(a, b) <= 1e-13 * (largest(a) + largest(b));
      };
      // With g = dF/dW:  dq = k g^T,  dk = q g.
      const auto check = [&](ProductOp op, double value, const Values& g, double size) {
        const ProductReading got = read(op, {d, c}, q, k);
        CHECK(std::fabs(got.y[0] - value) <= 1e-13 * size);
        CHECK(close(got.dq, scaled(product(k, transposed(g, c, c), d, c, c), 0.75)));
        CHECK(close(got.dk, scaled(product(q, g, d, c, c), 0.75)));
      };
      double trace = 0, square = 0, frobenius = 0, sizes = 0;
      for (Index i = 0; i < c; ++i) {
        trace += w[index(i * c + i)];
        sizes += std::fabs(w[index(i * c + i)]);
        for (Index j = 0; j < c; ++j) {
          square += w[index(i * c + j)] * w[index(j * c + i)];
          frobenius += w[index(i * c + j)] * w[index(i * c + j)];
        }
      }
      check(product_trace, trace, identity(c), sizes);
      check(product_trace_square, square, scaled(wt, 2), frobenius);
      check(product_frobenius_square, frobenius, scaled(w, 2), frobenius);
    }
  }
}

Values nonzero_eigenvalues(const Values& m, Index n, Index count) {
  const Values y = forward(eigenvalues, {n, n}, m);
  std::vector<Complex> list;
  for (std::size_t i = 0; i < y.size(); i += 2) list.emplace_back(y[i], y[i + 1]);
  std::stable_sort(list.begin(), list.end(), [](Complex a, Complex b) { return std::abs(a) > std::abs(b); });
  list.resize(index(count));
  std::sort(list.begin(), list.end(), [](Complex a, Complex b) {
    return std::abs(a.real() - b.real()) > 1e-7 ? a.real() > b.real() : a.imag() > b.imag();
  });
  Values flat;
  for (Complex z : list) flat.insert(flat.end(), {z.real(), z.imag()});
  return flat;
}

// Of q^T k, from the triangular factors of q^T and k^T alone: W = Q_q (R_q R_k^T) Q_k^T.
Values singular_values_of_product(const Values& q, const Values& k, Index d, Index c) {
  const Values rq = lapack::qr_factor(transposed(q, d, c), c, d);
  const Values rk = lapack::qr_factor(transposed(k, d, c), c, d);
  return lapack::singular_values(product(rq, transposed(rk, d, d), d, d, d), d, d);
}

TEST_CASE("the core has the spectrum of the product, and a change of basis inside it changes nothing",
          "[spectral]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const Index d = 1 + static_cast<Index>(seed) % 6, c = d + static_cast<Index>(seed) % 7;
    INFO("seed " << seed << ", q, k [" << d << ", " << c << "]");
    const Values q = normal(d, c, seed), k = normal(d, c, seed + 100);
    const Values w = product(transposed(q, d, c), k, c, d, c);
    const Values core = product(k, transposed(q, d, c), d, c, d);
    CHECK(distance(nonzero_eigenvalues(w, c, d), nonzero_eigenvalues(core, d, d)) < 1e-9);
    Values singular = lapack::singular_values(w, c, c);
    singular.resize(index(d));
    CHECK(distance(singular_values_of_product(q, k, d, c), singular) < 1e-12);

    // W_Q R and W_K R^-T: q and k in rows are R^T q and R^-1 k.
    const Values r = well_conditioned(d, seed + 200);
    const Values q2 = product(transposed(r, d, d), q, d, d, c), k2 = product(inverse(r, d), k, d, d, c);
    for (ProductOp op : {product_trace, product_trace_square, product_frobenius_square}) {
      const double before = read(op, {d, c}, q, k).y[0], after = read(op, {d, c}, q2, k2).y[0];
      CHECK(std::fabs(after - before) < 1e-9 * (1 + std::fabs(before)));
    }
    const Values core2 = product(k2, transposed(q2, d, c), d, c, d);
    CHECK(distance(nonzero_eigenvalues(core2, d, d), nonzero_eigenvalues(core, d, d)) < 1e-9);
    CHECK(distance(singular_values_of_product(q2, k2, d, c), singular) < 1e-9);
  }
}

TEST_CASE("eigenvalues of the core carry gradients to both factors", "[spectral]") {
  // F = sum |lambda|^2: its gradient with respect to q, by differences.
  const Index d = 3, c = 5;
  const Values q = normal(d, c, 5), k = normal(d, c, 6);
  const auto of_q = [&](const Tensor& t) {
    static Values held;
    held = k;
    return eigenvalues(matmul({{d, c}, held.data(), nullptr, "k"}, t, false, true));
  };
  const auto of_k = [&](const Tensor& t) {
    static Values held;
    held = q;
    return eigenvalues(matmul(t, {{d, c}, held.data(), nullptr, "q"}, false, true));
  };
  for (const Function& f : functions_of_distinct(4)) {
    CHECK(gradient_error(of_q, f, {d, c}, q, 1) < 1e-8);
    CHECK(gradient_error(of_k, f, {d, c}, k, 1) < 1e-8);
  }
}

// ---- Spectral norm --------------------------------------------------------------------------------------

TEST_CASE("power iteration finds the largest singular value, and spectral_norm its gradient", "[spectral]") {
  for (const auto& pair : std::vector<std::array<Index, 2>>{{1, 1}, {1, 4}, {4, 1}, {5, 5}, {7, 4}, {4, 7}}) {
    const Index m = pair[0], n = pair[1];
    for (double unit : {1.0, 1e6, 1e-6, 1e200, 1e-200}) {
      INFO("[" << m << ", " << n << "] times " << unit);
      const Index r = std::min(m, n);
      Values values;
      for (Index i = 0; i < r; ++i) values.push_back(2 * std::pow(0.6, i));
      const Values w = scaled(product(product(orthonormal(m, r, 1), diagonal(values), m, r, r),
                                      transposed(orthonormal(n, r, 2), n, r), m, r, n),
                              unit);
      Values u = orthonormal(m, 1, 3), v = orthonormal(n, 1, 4);
      power_iteration(w.data(), m, n, u.data(), v.data(), 60);
      const auto length = [](const Values& x) {
        Real total = 0;
        for (Real y : x) total += y * y;
        return total;
      };
      CHECK(length(u) == Approx(1).epsilon(1e-14));
      CHECK(length(v) == Approx(1).epsilon(1e-14));
      const auto norm = [&](const Tensor& x) { return spectral_norm(x, u.data(), v.data()); };
      CHECK(forward(norm, {m, n}, w)[0] / unit == Approx(2).epsilon(1e-13));
      CHECK(distance(gradient_of_sum(norm, {m, n}, w, {0}),
                     gradient_of_sum(singular_values, {m, n}, w, {0})) < 1e-12);
    }
  }
}

TEST_CASE("power iteration: each step comes nearer, and none is made of nothing", "[spectral]") {
  const Values w = normal(6, 5, 9);
  Values u = orthonormal(6, 1, 1), v = orthonormal(5, 1, 2);
  const auto sigma = [&] {
    return forward([&](const Tensor& x) { return spectral_norm(x, u.data(), v.data()); }, {6, 5}, w)[0];
  };
  double before = 0;
  for (int step = 0; step < 8; ++step) {
    power_iteration(w.data(), 6, 5, u.data(), v.data(), 1);
    CHECK(sigma() > before);
    before = sigma();
  }
  const Values same = u;
  power_iteration(w.data(), 6, 5, u.data(), v.data(), 0);
  CHECK(u == same);

  // Zero: unit vectors all the same; and a start that the matrix maps to zero is left behind.
  const Values zero(30, 0);
  power_iteration(zero.data(), 6, 5, u.data(), v.data(), 3);
  Real total = 0;
  for (Real x : u) total += x * x;
  for (Real x : v) total += x * x;
  CHECK(total == Approx(2).epsilon(1e-14));
  const auto norm = [&](const Tensor& x) { return spectral_norm(x, u.data(), v.data()); };
  CHECK(forward(norm, {6, 5}, zero) == Values{0});
  const Values diagonal_matrix = {0, 0, 0, 3};
  Values left = {1, 0}, right = {1, 0};
  power_iteration(diagonal_matrix.data(), 2, 2, left.data(), right.data(), 40);
  CHECK(std::fabs(left[1]) == Approx(1).epsilon(1e-14));
  power_iteration(nullptr, 0, 0, nullptr, nullptr, 3);
  Values lone = {1, 0};
  power_iteration(nullptr, 2, 0, lone.data(), nullptr, 3);
  CHECK(std::isfinite(largest(lone)));
  CHECK(forward([](const Tensor& x) { return spectral_norm(x, nullptr, nullptr); }, {0, 0}, {}) == Values{0});
}

TEST_CASE("spectral_norm reads u and v once: they may change before the backward", "[spectral]") {
  Leaf w({2, 2}, Values{1, 2, 3, 4});
  Values u = {0.6, 0.8}, v = {1, 0};
  Tape tape;
  Tape::Scope scope(tape);
  const Tensor y = spectral_norm(w.tensor(), u.data(), v.data());
  u = {9, 9};
  v = {9, 9};
  const Values seed = {0.5};
  tape.backward(y, seed);
  CHECK(values_of(y)[0] == Approx(0.6 + 2.4).epsilon(1e-15));
  CHECK(distance(w.gradient, Values{0.3, 0, 0.4, 0}) < 1e-15);
}

// The ops that ask LAPACK.
std::vector<Op> spectra() { return {eigenvalues, symmetric_eigenvalues, singular_values}; }

// ---- LAPACK with vectors, and errors --------------------------------------------------------------------

TEST_CASE("LAPACK's vectors solve what they are said to solve", "[lapack]") {
  for (Index n : {1, 2, 5, 8}) {
    const Values a = normal(n, n, static_cast<std::uint64_t>(n)), before = a;
    const lapack::Eigen e = lapack::eigen(a, n);
    double worst = 0;
    for (Index i = 0; i < n; ++i) {
      Real right_length = 0, left_length = 0;
      for (Index r = 0; r < n; ++r) {
        Complex av = 0, ua = 0;
        for (Index c = 0; c < n; ++c) {
          av += a[index(r * n + c)] * e.right[index(i * n + c)];
          ua += std::conj(e.left[index(i * n + c)]) * a[index(c * n + r)];
        }
        worst = std::max(worst, std::abs(av - e.values[index(i)] * e.right[index(i * n + r)]));
        worst = std::max(worst, std::abs(ua - e.values[index(i)] * std::conj(e.left[index(i * n + r)])));
        right_length += std::norm(e.right[index(i * n + r)]);
        left_length += std::norm(e.left[index(i * n + r)]);
      }
      CHECK(right_length == Approx(1).epsilon(1e-13));
      CHECK(left_length == Approx(1).epsilon(1e-13));
    }
    CHECK(worst < 1e-13);

    const Values symmetric = plus(a, transposed(a, n, n));
    const lapack::SymmetricEigen s = lapack::symmetric_eigen(symmetric, n);
    CHECK(distance(
              product(product(s.vectors, diagonal(s.values), n, n, n), transposed(s.vectors, n, n), n, n, n),
              symmetric) < 1e-13);
    CHECK(distance(s.values, lapack::symmetric_eigenvalues(symmetric, n)) < 1e-13);
    CHECK(a == before);
  }
  for (const auto& pair : std::vector<std::array<Index, 2>>{{1, 1}, {2, 5}, {5, 2}, {4, 4}}) {
    const Index m = pair[0], n = pair[1];
    const Values a = normal(m, n, 3), before = a;
    const Index r = std::min(m, n);
    const lapack::Svd s = lapack::svd(a, m, n);
    CHECK(distance(product(product(s.u, diagonal(s.values), m, r, r), s.vt, m, r, n), a) < 1e-14);
    CHECK(distance(s.values, lapack::singular_values(a, m, n)) < 1e-14);
    if (m >= n) {
      const Values factor = lapack::qr_factor(a, m, n);
      CHECK(distance(product(transposed(factor, n, n), factor, n, n, n),
                     product(transposed(a, m, n), a, n, m, n)) < 1e-13);
      for (Index i = 0; i < n; ++i) {
        for (Index j = 0; j < i; ++j) CHECK(factor[index(i * n + j)] == 0);
      }
    }
    CHECK(a == before);
  }
}

TEST_CASE("LAPACK: what is empty, of the wrong size, not finite or not solved", "[lapack]") {
  using namespace lapack;
  CHECK(eigen({}, 0).values.empty());
  CHECK(symmetric_eigen({}, 0).vectors.empty());
  CHECK(svd({}, 3, 0).values.empty());
  CHECK(svd({}, 0, 3).u.empty());
  CHECK(qr_factor({}, 3, 0).empty());
  const Values five(5, 1.0), six(6, 1.0);
  check_throws([&] { eigen(five, 2); }, {"geev", "got 5 numbers", "expected 4"});
  check_throws([&] { symmetric_eigen(five, 3); }, {"syevd", "got 5 numbers", "expected 9"});
  check_throws([&] { svd(five, 2, 3); }, {"gesdd", "got 5 numbers", "expected 6"});
  check_throws([&] { qr_factor(five, 3, 2); }, {"geqrf", "got 5 numbers", "expected 6"});
  check_throws([&] { qr_factor(six, 2, 3); }, {"geqrf: rows of the matrix: got 2, expected at least 3"});
  for (double wrong : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const Values matrix = {1, 2, wrong, 4};
    check_throws<NumericalError>([&] { eigen(matrix, 2); }, {"geev: the matrix contains NaN"});
    check_throws<NumericalError>([&] { symmetric_eigen(matrix, 2); }, {"syevd: the matrix"});
    check_throws<NumericalError>([&] { svd(matrix, 1, 4); }, {"gesdd: the matrix"});
    check_throws<NumericalError>([&] { qr_factor(matrix, 2, 2); }, {"geqrf: the matrix"});
    for (const Op& op : spectra())
      check_throws<NumericalError>([&] { forward(op, {2, 2}, matrix); }, {"the matrix contains NaN"});
  }
  CHECK_NOTHROW(detail::check("geev", 0));
  check_throws<NumericalError>([] { detail::check("geev", 3); }, {"geev did not converge, info = 3"});
  check_throws<NumericalError>([] { detail::check("gesdd", -4); },
                               {"gesdd was given a wrong argument, info = -4"});
}

TEST_CASE("a result that is too large is an error, never NaN; a tiny one is not", "[lapack]") {
  const auto ones = [](const Values& y) { return Values(y.size(), 1); };
  for (const Op& op : spectra()) {
    const Values huge(16, 1.5e308);  // eigenvalue 6e308
    check_throws<NumericalError>([&] { forward(op, {4, 4}, huge); }, {"the result contains NaN or infinity"});
    check_throws<NumericalError>(
        [&] {
          read(op, {4, 4}, huge, ones);
        },
        {"the result contains NaN or infinity"});
    for (double unit : {1e300, 1e-300, 1e-310}) {
      const Reading reading = read(op, {3, 3}, scaled(normal(3, 3, 1), unit), ones);
      CHECK(std::isfinite(largest(reading.y)));
      CHECK(std::isfinite(largest(reading.gradient)));
      CHECK(largest(reading.y) > 0);
    }
  }
}

TEST_CASE("spectral ops refuse other shapes", "[spectral]") {
  Tape tape;
  Tape::Scope scope(tape);
  Leaf x({2, 3}, 1), y({3, 2}, 1), flat({6}, 1);
  check_throws([&] { eigenvalues(x.tensor()); }, {"eigenvalues", "m", "[2, 3]", "[N, N]"});
  check_throws([&] { eigenvalues(flat.tensor()); }, {"eigenvalues", "[6]"});
  check_throws([&] { symmetric_eigenvalues(x.tensor()); }, {"symmetric_eigenvalues", "a", "[2, 3]"});
  check_throws([&] { singular_values(flat.tensor()); }, {"singular_values", "[6]", "[M, N]"});
  check_throws([&] { spectral_norm(flat.tensor(), nullptr, nullptr); }, {"spectral_norm", "[6]"});
  const auto refuses = [&](const std::string& name, ProductOp op) {
    check_throws([&] { op(x.tensor(), y.tensor()); }, {name, "k", "[3, 2]", "[2, 3]"});
    check_throws([&] { op(flat.tensor(), flat.tensor()); }, {name, "q", "[6]", "[D, C]"});
  };
  refuses("product_core", product_core);
  refuses("product_trace", product_trace);
  refuses("product_trace_square", product_trace_square);
  refuses("product_frobenius_square", product_frobenius_square);
}

}  // namespace
}  // namespace ef
