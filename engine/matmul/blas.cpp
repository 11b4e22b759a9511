#include "engine/matmul/blas.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include "engine/error.h"
#include "engine/matmul/tiles.h"
#include "engine/nearest.h"

namespace ef::blas {
namespace {

thread_local double flops = 0;
std::optional<tiles::Precision> on_tiles;  // set while one thread runs

#ifdef EF_DOUBLE
constexpr auto cblas_gemm = cblas_dgemm;
constexpr auto cblas_gemv = cblas_dgemv;
#else
constexpr auto cblas_gemm = cblas_sgemm;
constexpr auto cblas_gemv = cblas_sgemv;
#endif

CBLAS_TRANSPOSE flag(Op op) { return op == Op::as_is ? CblasNoTrans : CblasTrans; }

}  // namespace

void gemm(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda, const Real* b,
          Index ldb, Real beta, Real* c, Index ldc) {
#ifndef EF_DOUBLE
  if (on_tiles) {
    flops += 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    tiles::gemm(*on_tiles, op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    return;
  }
#endif
  gemm_exact(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm_exact(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda,
                const Real* b, Index ldb, Real beta, Real* c, Index ldc) {
  if (m == 0 || n == 0) return;
  flops += 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  // BLAS insists on leading dimensions of at least 1, even where k is 0.
  const auto at_least_1 = [](Index ld) { return static_cast<blasint>(std::max<Index>(ld, 1)); };
  cblas_gemm(CblasRowMajor, flag(op_a), flag(op_b), static_cast<blasint>(m), static_cast<blasint>(n),
             static_cast<blasint>(k), alpha, a, at_least_1(lda), b, at_least_1(ldb), beta, c,
             at_least_1(ldc));
}

void gemv(Op op_a, Index m, Index n, Real alpha, const Real* a, Index lda, const Real* x, Real beta,
          Real* y) {
  if (m == 0) return;
  flops += 2.0 * static_cast<double>(m) * static_cast<double>(n);
  cblas_gemv(CblasRowMajor, flag(op_a), static_cast<blasint>(m), static_cast<blasint>(n), alpha, a,
             static_cast<blasint>(std::max<Index>(lda, 1)), x, 1, beta, y, 1);
}

void use_precision(const std::string& name) {
  const std::map<std::string, std::optional<tiles::Precision>> known = {{"float32", std::nullopt},
                                                                        {"split3", tiles::Precision::split3},
                                                                        {"split2", tiles::Precision::split2},
                                                                        {"bf16", tiles::Precision::bf16}};
  const auto found = known.find(name);
  if (found == known.end())
    fail("no precision called " + name, "", "", suggestion(name, {"float32", "split3", "split2", "bf16"}));
  if (found->second && sizeof(Real) > sizeof(float)) fail("precision " + name, "a double build", "float32");
  if (found->second && !tiles::unavailable().empty())
    fail("precision " + name + " needs AMX or AVX512-BF16: " + tiles::unavailable(), "", "", "use float32");
  on_tiles = found->second;
}

bool products_by_amx() { return on_tiles && tiles::unit() == tiles::Unit::amx; }

#ifdef EF_DOUBLE
Unchanging::Unchanging(const Real*, Index) {}
Unchanging::~Unchanging() {}
void Unchanging::prepare(Index, Index) const {}
#else
Unchanging::Unchanging(const Real* weights, Index n) {
  if (on_tiles) tiles::hold(*on_tiles, weights, n);
}
Unchanging::~Unchanging() { tiles::release(); }
void Unchanging::prepare(Index worker, Index workers) const {
  if (on_tiles) tiles::pack_held(worker, workers);
}
#endif

void use_one_thread() { openblas_set_num_threads(1); }

std::string Library::text() const {
  return (version.empty() ? std::string("BLAS") : version) + ", kernel " + kernel;
}

Library library() {
  // "OpenBLAS 0.3.21 DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64": the name, and a version.
  std::istringstream config(openblas_get_config());
  std::string name, number;
  config >> name >> number;
  if (number.empty() || number[0] < '0' || number[0] > '9') number.clear();
  return {number.empty() ? name : name.append(" ").append(number), openblas_get_corename()};
}

void check_products(Gemm product) {
  constexpr Index m = 67, n = 53, k = 71, largest = std::max({m, n, k});
  // From -8 to 8, which bf16 holds exactly, too; sums stay below 2^24.
  const auto numbers = [](Index count, std::uint64_t seed) {
    std::vector<Real> list(static_cast<std::size_t>(count));
    for (Real& x : list) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      x = static_cast<Real>(static_cast<int>((seed >> 33) % 17) - 8);
    }
    return list;
  };
  const std::vector<Real> a = numbers(largest * largest, 1), b = numbers(largest * largest, 2),
                          before = numbers(m * n, 3);
  for (const Op op_a : {Op::as_is, Op::transposed}) {
    for (const Op op_b : {Op::as_is, Op::transposed}) {
      const Index lda = op_a == Op::as_is ? k : m, ldb = op_b == Op::as_is ? n : k;
      std::vector<Real> expected(before);
      for (Index i = 0; i < m; ++i)
        for (Index l = 0; l < k; ++l)
          for (Index j = 0; j < n; ++j)
            expected[i * n + j] += a[op_a == Op::as_is ? i * lda + l : l * lda + i] *
                                   b[op_b == Op::as_is ? l * ldb + j : j * ldb + l];
      std::vector<Real> got(before);
      product(op_a, op_b, m, n, k, 1, a.data(), lda, b.data(), ldb, 1, got.data(), n);
      for (Index i = 0; i < m * n; ++i) {
        if (got[i] == expected[i]) continue;
        fail(library().text() + " multiplies wrongly on this processor: row " + std::to_string(i / n + 1) +
                 ", column " + std::to_string(i % n + 1) + " of a product of whole numbers",
             std::to_string(got[i]), std::to_string(expected[i]),
             "another version of OpenBLAS, or another kernel: OPENBLAS_CORETYPE=Haswell in front of the "
             "command");
      }
    }
  }
}

void check_products() {
  const double before = flops;
  check_products(gemm_exact);
  if (on_tiles) check_products(gemm);
  flops = before;
}

double flops_of_this_thread() { return flops; }

double measure_peak(Index n, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto size = static_cast<std::size_t>(n * n);
  const std::vector<Real> a(size, Real(0.5)), b(size, Real(0.25));
  std::vector<Real> c(size);
  const double before = flops;
  double best = 0, products = 0;
  const auto start = Clock::now();
  auto stretch = start;
  for (auto now = start; best == 0 || now - start < std::chrono::duration<double>(seconds);) {
    gemm(Op::as_is, Op::as_is, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
    ++products;
    now = Clock::now();
    const double passed = std::chrono::duration<double>(now - stretch).count();
    if (passed < 0.02) continue;
    best = std::max(best, 2.0 * static_cast<double>(n * n * n) * products / passed);
    products = 0;
    stretch = now;
  }
  flops = before;
  return best;
}

}  // namespace ef::blas
