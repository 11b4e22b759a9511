// Products on tiles against sums in double precision and against BLAS.
#include "engine/matmul/tiles.h"

#include <array>
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

// Has tiles multiplied by one unit while it lives.
struct Using {
  tiles::Unit before = tiles::unit();
  explicit Using(tiles::Unit unit) { tiles::use(unit); }
  ~Using() {
    if (tiles::why_unavailable(before).empty()) tiles::use(before);
  }
};

// Every test begins with this, and runs once for each unit: where there is none there is nothing to test.
#define ON_EACH_UNIT                                                                         \
  const tiles::Unit unit = GENERATE(tiles::Unit::amx, tiles::Unit::avx512_bf16);             \
  if (const std::string reason = tiles::why_unavailable(unit); !reason.empty()) {            \
    WARN("skipped on " << (unit == tiles::Unit::amx ? "AMX: " : "AVX512-BF16: ") << reason); \
    return;                                                                                  \
  }                                                                                          \
  const Using with(unit);

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

// Lines have one power of ten or another.
Problem::Numbers lines_of(std::array<double, 3> powers) {
  return [powers](Index line, Index k, std::uint64_t draw) {
    return static_cast<float>(powers[at(line % 3)] * double{normal(line, k, draw)});
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
    {"rows of 1e-30 to 1e30", lines_of({1e30, 1e-30, 1}), lines_of({1e-5, 1, 1e5})},
    {"columns of 1e-30 to 1e30", lines_of({1e-5, 1, 1e5}), lines_of({1, 1e30, 1e-30})},
    {"rows of 1e-30, columns of 1e30", lines_of({1e-30, 1e-25, 1e-33}), lines_of({1e30, 1e35, 1e28})},
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

std::string name(const Problem& p) {
  return std::to_string(p.m) + " x " + std::to_string(p.n) + " x " + std::to_string(p.k) +
         (p.op_a == Op::as_is ? "" : ", A transposed") + (p.op_b == Op::as_is ? "" : ", B transposed");
}

// Calls check(problem) for A and B as they are and transposed.
template <class Check>
void for_all_transposes(Size size, const Kind& kind, const Check& check) {
  for (Op op_a : ops) {
    for (Op op_b : ops) {
      Problem problem(size.m, size.n, size.k, op_a, op_b, kind.a, kind.b);
      INFO(kind.name << ", " << name(problem));
      check(problem);
    }
  }
}

TEST_CASE("tiles: three parts are as exact as float32, two keep 2^-15, one 2^-7", "[tiles]") {
  ON_EACH_UNIT
  for (const Kind& kind : kinds) {
    for (const Size& size : sizes) {
      for_all_transposes(size, kind, [&](Problem& problem) {
        const double blas = problem.error(problem.result(std::nullopt));
        const double split3 = problem.error(problem.result(Precision::split3));
        // The products of parts that are left out come to 2^-24 at most. They show only where a sum consists
        // of a few large products, or where BLAS sums so few at a time that it makes almost no error itself.
        CHECK(split3 <= blas + 0x1p-23);
        if (kind.name == std::string("normal") && size.k > 64) CHECK(split3 <= std::fmax(blas, 0x1p-24));
        CHECK(problem.error(problem.result(Precision::split2)) <= 0x1p-15);
        CHECK(problem.error(problem.result(Precision::bf16)) <= 0x1p-7);
      });
    }
  }
}

TEST_CASE("tiles: alpha and beta as in BLAS", "[tiles]") {
  ON_EACH_UNIT
  for (const Size& size : {Size{33, 50, 70}, {5, 18, 500}}) {
    for_all_transposes(size, kinds[0], [](Problem& problem) {
      for (float alpha : {1.0f, -0.37f}) {
        for (float beta : {0.0f, 1.0f, 2.5f}) {
          problem.alpha = alpha;
          problem.beta = beta;
          // C is not read where beta is 0.
          for (std::size_t i = 0; i < problem.c.size(); ++i)
            problem.c[i] = beta == 0 ? not_a_number : normal(0, 0, i + 900000);
          CHECK(problem.error(problem.result(Precision::split3)) <=
                problem.error(problem.result(std::nullopt)) + 0x1p-24);
          CHECK(problem.error(problem.result(Precision::split2)) <= 0x1p-15);
          CHECK(problem.error(problem.result(Precision::bf16)) <= 0x1p-7);
        }
      }
    });
  }
}

TEST_CASE("tiles: what lies between rows of C is left alone; empty sizes", "[tiles]") {
  ON_EACH_UNIT
  for (Precision precision : precisions) {
    Problem problem(37, 41, 60, Op::as_is, Op::as_is, normal, normal);
    std::fill(problem.c.begin(), problem.c.end(), 7.0f);
    const std::vector<float> got = problem.result(precision);
    for (Index i = 0; i < problem.m; ++i)
      for (Index j = problem.n; j < problem.ldc; ++j) CHECK(got[at(i * problem.ldc + j)] == 7.0f);

    std::vector<float> c = {1, 2, 3, not_a_number};
    const auto scale = [&](Index m, Index n, Index k, float alpha, float beta) {
      tiles::gemm(precision, Op::as_is, Op::as_is, m, n, k, alpha, c.data(), 2, c.data(), 2, beta, c.data(),
                  2);
    };
    scale(0, 2, 2, 1, 0);
    scale(2, 0, 2, 1, 0);
    CHECK(std::vector<float>(c.begin(), c.begin() + 3) == std::vector<float>{1, 2, 3});
    scale(1, 2, 0, 1, 3);  // k is 0: C is scaled
    CHECK(std::vector<float>(c.begin(), c.begin() + 3) == std::vector<float>{3, 6, 3});
    scale(1, 2, 2, 0, 2);  // alpha is 0: no NaN is read
    CHECK(std::vector<float>(c.begin(), c.begin() + 3) == std::vector<float>{6, 12, 3});
    scale(2, 2, 0, 1, 0);
    CHECK(c == std::vector<float>{0, 0, 0, 0});
  }
}

TEST_CASE("tiles: infinity and NaN spread as in BLAS", "[tiles]") {
  ON_EACH_UNIT
  const float bad[] = {infinity, -infinity, not_a_number};
  for (const Size& size : {Size{20, 40, 70}, {1, 35, 33}, {40, 1, 500}, {3, 4, 1}}) {
    for (std::uint64_t round = 0; round < 8; ++round) {
      for_all_transposes(size, kinds[0], [&](Problem& problem) {
        // One or two in A, in B or in both, and zeros, which make NaN of infinity.
        std::uint64_t draw = 100 * round;
        const auto below = [&](Index n) {
          return static_cast<Index>(draws.below(draw++, static_cast<std::uint64_t>(n)));
        };
        for (std::uint64_t i = 0; i < 6; ++i) {
          problem.a_at(below(problem.m), below(problem.k)) = 0;
          problem.b_at(below(problem.k), below(problem.n)) = 0;
        }
        for (std::uint64_t i = 0; i <= round / 3; ++i) {
          if (round % 3 != 0) problem.a_at(below(problem.m), below(problem.k)) = bad[below(3)];
          if (round % 3 != 1) problem.b_at(below(problem.k), below(problem.n)) = bad[below(3)];
        }
        problem.alpha = -2;
        problem.beta = round % 2 == 0 ? 0.0f : 1.0f;
        if (round == 7) problem.c[0] = infinity;
        const std::vector<float> expected = problem.result(std::nullopt);
        for (Precision precision : precisions) {
          const std::vector<float> got = problem.result(precision);
          Index different = 0;
          for (std::size_t i = 0; i < got.size(); ++i) {
            const bool same = std::isnan(expected[i])   ? std::isnan(got[i])
                              : std::isinf(expected[i]) ? got[i] == expected[i]
                                                        : std::isfinite(got[i]);
            if (!same) ++different;
          }
          CHECK(different == 0);
        }
      });
    }
  }
  // A sum beyond the largest float, and numbers at it whose products are not.
  const float most = std::numeric_limits<float>::max();
  const float a[] = {most, 2, most, -2}, b[] = {most, 1, 2, 0.5f};
  for (Precision precision : precisions) {
    float c[4] = {};
    tiles::gemm(precision, Op::as_is, Op::as_is, 2, 2, 2, 1, a, 2, b, 2, 0, c, 2);
    CHECK(c[0] == infinity);
    CHECK(c[2] == infinity);
    CHECK(c[1] == (precision == Precision::bf16 ? infinity : most));
    CHECK(c[3] == c[1]);
  }
}

bool same_bits(const float* x, const float* y, Index n) {
  return std::memcmp(x, y, at(n) * sizeof(float)) == 0;
}

TEST_CASE("tiles: an element of C depends on its row and column alone, and on no alignment", "[tiles]") {
  ON_EACH_UNIT
  for (const Size& size : {Size{70, 50, 300}, {50, 70, 1500}, {40, 2500, 40}, {33, 33, 33}}) {
    for (Precision precision : precisions) {
      for_all_transposes(size, kinds[0], [&](Problem& problem) {
        const auto& [m, n, k, op_a, op_b, lda, ldb, ldc, alpha, beta, a, b, c] = problem;
        const std::vector<float> all = problem.result(precision);
        CHECK(same_bits(all.data(), problem.result(precision).data(), static_cast<Index>(all.size())));
        for (const auto& [row, rows, column, columns] : {std::array<Index, 4>{0, 1, 0, n},
                                                         {m - 1, 1, 0, n},
                                                         {3, 20, 0, n},
                                                         {0, m, 5, 1},
                                                         {0, m, 7, 26},
                                                         {11, 2, n - 3, 3}}) {
          // From memory that is aligned in another way.
          std::vector<float> shifted_a(a.size() + 5), shifted_b(b.size() + 3);
          std::copy(a.begin(), a.end(), shifted_a.begin() + 5);
          std::copy(b.begin(), b.end(), shifted_b.begin() + 3);
          const float* part_a = shifted_a.data() + 5 + (op_a == Op::as_is ? row * lda : row);
          const float* part_b = shifted_b.data() + 3 + (op_b == Op::as_is ? column : column * ldb);
          std::vector<float> part(at(rows * columns));
          tiles::gemm(precision, op_a, op_b, rows, columns, k, 1, part_a, lda, part_b, ldb, 0, part.data(),
                      columns);
          bool same = true;
          for (Index i = 0; i < rows; ++i)
            same =
                same && same_bits(part.data() + i * columns, all.data() + (row + i) * ldc + column, columns);
          CHECK(same);
        }
      });
    }
  }
}

TEST_CASE("tiles: several threads at once", "[tiles]") {
  ON_EACH_UNIT
  std::vector<Problem> problems;
  std::vector<std::vector<float>> expected;
  for (Index i = 0; i < 4; ++i) {
    problems.emplace_back(40 + 13 * i, 90 - 11 * i, 50 + 100 * i, ops[i % 2], ops[i / 2], normal, normal);
    expected.push_back(problems.back().result(precisions[i % 3]));
  }
  std::array<bool, 4> same{};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      same[i] = true;
      for (int round = 0; round < 50; ++round) {
        const std::vector<float> got = problems[i].result(precisions[i % 3]);
        same[i] = same[i] && same_bits(got.data(), expected[i].data(), static_cast<Index>(got.size()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(same == std::array<bool, 4>{true, true, true, true});
}

TEST_CASE("tiles: held weights are packed once, by all threads, and change no bit", "[tiles]") {
  ON_EACH_UNIT
  for (const Precision precision : precisions) {
    // The same weights read in three ways: as B, as B transposed, and as A; the last two have edges.
    Problem problem(70, 96, 1600, Op::as_is, Op::as_is, normal, normal);
    std::vector<float>& weights = problem.b;
    for (float& x : weights) x = std::isnan(x) ? 1.0F : x;  // between rows too: the second way reads it all
    const auto products = [&] {
      std::vector<float> all = problem.result(precision), more(at(70 * 61));
      tiles::gemm(precision, Op::as_is, Op::transposed, 70, 61, 90, 1, problem.a.data(), problem.lda,
                  weights.data() + problem.ldb, problem.ldb, 0, more.data(), 61);
      all.insert(all.end(), more.begin(), more.end());
      tiles::gemm(precision, Op::transposed, Op::as_is, 70, 61, 69, 1, weights.data(), problem.ldb,
                  problem.a.data(), problem.lda, 0, more.data(), 61);
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    const auto size = static_cast<Index>(weights.size());
    const auto held_products = [&](Index threads, bool prepare) {
      tiles::hold(precision, weights.data(), size);
      std::vector<std::vector<float>> results(at(threads));
      std::vector<std::thread> running;
      for (Index i = 0; i < threads && prepare; ++i)
        running.emplace_back([&, i] { tiles::pack_held(i, threads); });
      for (std::thread& thread : running) thread.join();
      running.clear();
      for (Index i = 0; i < threads; ++i) running.emplace_back([&, i] { results[at(i)] = products(); });
      for (std::thread& thread : running) thread.join();
      tiles::release();
      for (const auto& result : results)
        CHECK(same_bits(result.data(), results[0].data(), static_cast<Index>(result.size())));
      return results[0];
    };
    const auto same = [](const std::vector<float>& x, const std::vector<float>& y) {
      return same_bits(x.data(), y.data(), static_cast<Index>(x.size()));
    };
    const std::vector<float> first = products();
    CHECK(same(held_products(3, false), first));
    CHECK(same(held_products(2, true), first));
    weights[at(5 * problem.ldb + 7)] = 3;
    const std::vector<float> second = products();
    CHECK(!same(first, second));
    CHECK(same(held_products(3, true), second));
    // Without hold() they may change at any time, and an infinite weight is seen among those that are held.
    weights[at(5 * problem.ldb + 7)] = infinity;
    const std::vector<float> third = products();
    CHECK(!same(second, third));
    CHECK(same(held_products(2, true), third));
  }
}

TEST_CASE("tiles: a program can be told to do without, and says so", "[tiles]") {
  const auto with = [](const char* variable, const auto& check) {
    const char* before = std::getenv(variable);
    const std::string kept = before == nullptr ? "" : before;
    setenv(variable, "1", 1);
    check();
    setenv(variable, kept.c_str(), 1);
  };
  with("EIGENFORMER_NO_TILES", [] {
    CHECK(!tiles::why_unavailable().empty());
    CHECK(!tiles::why_unavailable(tiles::Unit::amx).empty());
    CHECK(!tiles::why_unavailable(tiles::Unit::avx512_bf16).empty());
    check_throws([] { tiles::use(tiles::Unit::avx512_bf16); }, {"tiles", "EIGENFORMER_NO_TILES"});
  });
  const std::string vectors = tiles::why_unavailable(tiles::Unit::avx512_bf16);
  with("EIGENFORMER_NO_AMX", [&] {
    CHECK(!tiles::why_unavailable(tiles::Unit::amx).empty());
    CHECK(tiles::why_unavailable(tiles::Unit::avx512_bf16) == vectors);
    CHECK(tiles::why_unavailable().empty() == vectors.empty());
  });
  CHECK(tiles::why_unavailable() == tiles::unavailable());
  if (!tiles::unavailable().empty()) {
    float x = 1;
    const auto multiply = [&] {
      tiles::gemm(Precision::bf16, Op::as_is, Op::as_is, 1, 1, 1, 1, &x, 1, &x, 1, 0, &x, 1);
    };
    check_throws(multiply, {"tiles", tiles::unavailable()});
  }
}

TEST_CASE("tiles: AMX and AVX512-BF16 differ by the order of sums alone", "[tiles]") {
  if (!tiles::why_unavailable(tiles::Unit::amx).empty() ||
      !tiles::why_unavailable(tiles::Unit::avx512_bf16).empty()) {
    WARN("skipped: not both units are here");
    return;
  }
  for (const Size& size : sizes) {
    for (Precision precision : precisions) {
      for_all_transposes(size, kinds[0], [&](Problem& problem) {
        std::vector<float> got[2];
        for (const tiles::Unit unit : {tiles::Unit::amx, tiles::Unit::avx512_bf16}) {
          const Using with(unit);
          got[unit == tiles::Unit::amx] = problem.result(precision);
        }
        double worst = 0;  // of the same element of |A| |B|
        for (Index i = 0; i < size.m; ++i) {
          for (Index j = 0; j < size.n; ++j) {
            double scale = 0;
            for (Index l = 0; l < size.k; ++l)
              scale += std::fabs(double{problem.a_at(i, l)} * double{problem.b_at(l, j)});
            const std::size_t at_ij = at(i * problem.ldc + j);
            worst = std::fmax(worst, std::fabs(double{got[0][at_ij]} - double{got[1][at_ij]}) / scale);
          }
        }
        // A sum of k numbers is rounded k times, by 2^-24 of what is summed at most, up and down alike.
        CHECK(worst <= 4 * (1 + std::sqrt(static_cast<double>(size.k))) * 0x1p-24);
      });
    }
  }
}

}  // namespace
}  // namespace ef
