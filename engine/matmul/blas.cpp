#include "engine/matmul/blas.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
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

double flops_of_this_thread() { return flops; }

double measure_peak(Index n, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto size = static_cast<std::size_t>(n * n);
  const std::vector<Real> a(size, Real(0.5)), b(size, Real(0.25));
  std::vector<Real> c(size);
  const double before = flops;
  double best = 0;
  const auto start = Clock::now();
  for (auto now = start; now - start < std::chrono::duration<double>(seconds);) {
    gemm(Op::as_is, Op::as_is, n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n);
    const auto then = now;
    now = Clock::now();
    const double rate =
        2.0 * static_cast<double>(n * n * n) / std::chrono::duration<double>(now - then).count();
    best = std::max(best, rate);
  }
  flops = before;
  return best;
}

}  // namespace ef::blas
