#include "engine/blas.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace ef::blas {
namespace {

thread_local double flops = 0;

#ifdef EF_DOUBLE
constexpr auto cblas_gemm = cblas_dgemm;
#else
constexpr auto cblas_gemm = cblas_sgemm;
#endif

CBLAS_TRANSPOSE flag(Op op) { return op == Op::as_is ? CblasNoTrans : CblasTrans; }

}  // namespace

void gemm(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda, const Real* b,
          Index ldb, Real beta, Real* c, Index ldc) {
  if (m == 0 || n == 0) return;
  flops += 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  // BLAS insists on leading dimensions of at least 1, even where k is 0.
  const auto at_least_1 = [](Index ld) { return static_cast<blasint>(std::max<Index>(ld, 1)); };
  cblas_gemm(CblasRowMajor, flag(op_a), flag(op_b), static_cast<blasint>(m), static_cast<blasint>(n),
             static_cast<blasint>(k), alpha, a, at_least_1(lda), b, at_least_1(ldb), beta, c,
             at_least_1(ldc));
}

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
