// Matrix products: the one place that speaks to BLAS, and the seam where another way to multiply comes in.
#pragma once
#include <string>

#include "engine/real.h"

namespace ef::blas {

enum class Op { as_is, transposed };

// C = alpha op(A) op(B) + beta C, all row-major: op(A) is m x k, op(B) is k x n, C is m x n; lda, ldb, ldc
// are the distances between rows as stored. Nothing is read of C where beta is 0. Empty sizes are allowed.
void gemm(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda, const Real* b,
          Index ldb, Real beta, Real* c, Index ldc);

// The same, always by OpenBLAS in the precision of Real: for spectra, whatever training uses.
void gemm_exact(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda,
                const Real* b, Index ldb, Real beta, Real* c, Index ldc);

// y = alpha op(A) x + beta y, with A m x n as stored, lda between its rows: by OpenBLAS in the precision of
// Real. For one row of tokens, where gemm would first copy all of A.
void gemv(Op op_a, Index m, Index n, Real alpha, const Real* a, Index lda, const Real* x, Real beta, Real* y);

// How gemm multiplies from now on, on all threads: float32 by OpenBLAS (the default), or on
// recent processors as sums of bf16 products (engine/matmul/tiles.h): split3, split2, bf16. Error for another
// name, or with the reason where there are no tiles.
void use_precision(const std::string& name);

// Whether gemm multiplies by AMX: a product then costs less than the memory that its result passes through.
bool products_by_amx();

// While one lives, the n numbers at `weights` do not change, so that gemm may keep what it made of them
// (tiles do). One at a time in a program, made and ended while no other thread multiplies. prepare() is for
// all workers at the same time, before the first product: they share the work of making anew what was kept.
class Unchanging {
 public:
  Unchanging(const Real* weights, Index n);
  ~Unchanging();
  Unchanging(const Unchanging&) = delete;
  Unchanging& operator=(const Unchanging&) = delete;
  void prepare(Index worker, Index workers) const;
};

// Matmuls run on the calling thread alone: parallelism is by worker (see workers.h). Called once at start.
void use_one_thread();

// The library that multiplies, and for which processors the code is that it chose here: "OpenBLAS 0.3.21",
// "SkylakeX". Another kernel rounds otherwise. version: empty if it does not tell.
struct Library {
  std::string version, kernel;
  std::string text() const;  // "OpenBLAS 0.3.21, kernel SkylakeX"
};
Library library();

// Error if products of whole numbers, which have no rounding, are not those of a plain loop: a library that
// has wrong code for this processor is noticed before anything is trained with it. All ways to transpose, odd
// sizes, some milliseconds at most. It asks gemm, as it computes at present, and gemm_exact; or the one
// given.
using Gemm = void (*)(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda,
                      const Real* b, Index ldb, Real beta, Real* c, Index ldc);
void check_products();
void check_products(Gemm product);

// Floating-point operations (2 m n k a gemm) that this thread has asked of gemm so far.
double flops_of_this_thread();

// Measured rate of square gemms of size n, as gemm computes them now, on this thread: operations a second,
// over about `seconds`. The best of stretches of 20 ms, so that a thread which shares its processor gets its
// share.
double measure_peak(Index n, double seconds);

}  // namespace ef::blas
