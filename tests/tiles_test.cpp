// Products on tiles against sums in double precision and against BLAS.
#include "engine/tiles.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <thread>

#include "engine/random.h"
#include "tests/helpers.h"

namespace ef {
namespace {

using blas::Op;
using tiles::Precision;

constexpr Precision precisions[] = {Precision::split3, Precision::split2, Precision::bf16};
constexpr Op ops[] = {Op::as_is, Op::transposed};
constexpr float infinity = std::numeric_limits<float>::infinity();
const float not_a_number = std::numeric_limits<float>::quiet_NaN();

// Every test begins with this: where there are no tiles there is nothing to test.
#define SKIP_WITHOUT_TILES                     \
  if (!tiles::unavailable().empty()) {         \
    WARN("skipped: " << tiles::unavailable()); \
    return;                                    \
  }

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// A product to be computed, with rows of memory a little longer than rows of the matrices.
struct Problem {
  Index m, n, k;
  Op op_a, op_b;
  Index lda, ldb, ldc;
  float alpha = 1, beta = 0;
  std::vector<float> a, b, c;

  using Numbers = std::function<float(Index line, Index k, std::uint64_t draw)>;
  // The numbers of op(A) by row and k, those of op(B) by column and k.
  Problem(Index m_, Index n_, Index k_, Op op_a_, Op op_b_, const Numbers& numbers_a,
          const Numbers& numbers_b)
      : m(m_), n(n_), k(k_), op_a(op_a_), op_b(op_b_) {
    lda = (op_a == Op::as_is ? k : m) + 3;
    ldb = (op_b == Op::as_is ? n : k) + 1;
    ldc = n + 2;
    // What lies between the rows must not matter.
    a.assign(at(lda * (op_a == Op::as_is ? m : k)), not_a_number);
    b.assign(at(ldb * (op_b == Op::as_is ? k : n)), not_a_number);
    c.assign(at(ldc * m), 0);
    std::uint64_t draw = 0;
    for (Index i = 0; i < m; ++i)
      for (Index l = 0; l < k; ++l) a_at(i, l) = numbers_a(i, l, draw++);
    for (Index j = 0; j < n; ++j)
      for (Index l = 0; l < k; ++l) b_at(l, j) = numbers_b(j, l, draw++);
  }

  float& a_at(Index i, Index l) { return a[at(op_a == Op::as_is ? i * lda + l : l * lda + i)]; }
  float& b_at(Index l, Index j) { return b[at(op_b == Op::as_is ? l * ldb + j : j * ldb + l)]; }

  // C as the tiles compute it, or as BLAS does.
  std::vector<float> result(std::optional<Precision> precision) const {
    std::vector<float> out = c;
    if (precision)
      tiles::gemm(*precision, op_a, op_b, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, out.data(),
                  ldc);
    else
      blas::gemm(op_a, op_b, m, n, k, alpha, a.data(), lda, b.data(), ldb, beta, out.data(), ldc);
    return out;
  }

  // The largest error among the elements of C, each as a fraction of |alpha| |A| |B| + |beta| |C|. What the
  // smallest float cannot tell from the truth is no error.
  double error(const std::vector<float>& got) {
    double worst = 0;
    std::vector<double> row(at(n)), scale(at(n));
    for (Index i = 0; i < m; ++i) {
      std::fill(row.begin(), row.end(), 0.0);
      std::fill(scale.begin(), scale.end(), 0.0);
      for (Index l = 0; l < k; ++l) {
        const double x = double{alpha} * double{a_at(i, l)};
        for (Index j = 0; j < n; ++j) {
          row[at(j)] += x * double{b_at(l, j)};
          scale[at(j)] += std::fabs(x * double{b_at(l, j)});
        }
      }
      for (Index j = 0; j < n; ++j) {
        const double old = beta == 0 ? 0 : double{beta} * double{c[at(i * ldc + j)]};
        const double off = std::fabs(double{got[at(i * ldc + j)]} - (row[at(j)] + old));
        if (off <= 0x1p-149) continue;
        worst = std::fmax(worst, off / (scale[at(j)] + std::fabs(old)));
        if (std::isnan(off)) return HUGE_VAL;
      }
    }
    return worst;
  }
};

const Random draws{11, stream_of(Purpose::test, 40), 0};

float normal(Index, Index, std::uint64_t draw) { return static_cast<float>(draws.normal(draw)); }

// Between 2^-width and 2^width, all exponents as often.
Problem::Numbers log_uniform(double width) {
  return [width](Index, Index, std::uint64_t draw) {
    const double size = std::exp2(width * (2 * draws.uniform(2 * draw) - 1));
    return static_cast<float>(draws.uniform(2 * draw + 1) < 0.5 ? -size : size);
  };
}

// Each line has its own power of ten.
Problem::Numbers badly_scaled(int phase) {
  return [phase](Index line, Index k, std::uint64_t draw) {
    const double power[] = {1, 1e-30, 1e30};
    return static_cast<float>(power[(line + phase) % 3] * double{normal(line, k, draw)});
  };
}

// Pairs of terms that cancel, but for a 2^-12 of them.
float cancelling_a(Index line, Index k, std::uint64_t) {
  const float x = normal(line, k, static_cast<std::uint64_t>(line * 1000 + k / 2));
  return k % 2 == 0 ? x : -x;
}
float cancelling_b(Index line, Index k, std::uint64_t draw) {
  const float x = normal(line, k, static_cast<std::uint64_t>(500000 + line * 1000 + k / 2));
  return k % 2 == 0 ? x : x * (1 + 0x1p-12f * normal(line, k, draw));
}

Problem::Numbers times(float factor) {
  return [factor](Index line, Index k, std::uint64_t draw) { return factor * normal(line, k, draw); };
}

struct Kind {
  const char* name;
  Problem::Numbers a, b;
};

const Kind kinds[] = {
    {"normal", normal, normal},
    {"lines of 1e-30 to 1e30", badly_scaled(0), badly_scaled(1)},
    {"columns of 1e-30 to 1e30", normal, badly_scaled(0)},
    {"exponents from -60 to 60", log_uniform(60), log_uniform(60)},
    {"exponents from -120 to 120 in A", log_uniform(120), normal},
    {"cancelling", cancelling_a, cancelling_b},
    {"denormal A", times(1e-40f), times(1e10f)},
    {"denormal B", times(1e20f), times(1e-41f)},
    {"products that are denormal", times(1e-20f), times(1e-20f)},
    {"close to the largest float", times(5e37f), times(1e-3f)},
};

struct Size {
  Index m, n, k;
};
const Size sizes[] = {{1, 1, 1},     {1, 1, 100},   {1, 70, 40},  {17, 1, 33},   {16, 16, 32},
                      {5, 7, 3},     {33, 31, 65},  {64, 64, 32}, {40, 50, 31},  {100, 30, 97},
                      {32, 33, 400}, {70, 90, 129}, {3, 200, 64}, {65, 37, 193}, {20, 20, 1100}};

TEST_CASE("tiles: three parts are as exact as float32, two keep 2^-15, one 2^-7", "[tiles]") {
  SKIP_WITHOUT_TILES
  for (const Kind& kind : kinds) {
    for (const auto& [m, n, k] : sizes) {
      for (Op op_a : ops) {
        for (Op op_b : ops) {
          Problem problem(m, n, k, op_a, op_b, kind.a, kind.b);
          INFO(kind.name << ", " << m << " x " << n << " x " << k
                         << (op_a == Op::as_is ? "" : ", A transposed")
                         << (op_b == Op::as_is ? "" : ", B transposed"));
          const double blas = problem.error(problem.result(std::nullopt));
          const double split3 = problem.error(problem.result(Precision::split3));
          CHECK(split3 <= blas);
          CHECK(problem.error(problem.result(Precision::split2)) <= 0x1p-15);
          CHECK(problem.error(problem.result(Precision::bf16)) <= 0x1p-7);
        }
      }
    }
  }
}

}  // namespace
}  // namespace ef
