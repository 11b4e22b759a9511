// The one place that speaks to BLAS.
#pragma once
#include "engine/real.h"

namespace ef::blas {

enum class Op { as_is, transposed };

// C = alpha op(A) op(B) + beta C, all row-major: op(A) is m x k, op(B) is k x n, C is m x n; lda, ldb, ldc
// are the distances between rows as stored. Nothing is read of C where beta is 0. Empty sizes are allowed.
void gemm(Op op_a, Op op_b, Index m, Index n, Index k, Real alpha, const Real* a, Index lda, const Real* b,
          Index ldb, Real beta, Real* c, Index ldc);

// Matmuls run on the calling thread alone: parallelism is by worker (see workers.h). Called once at start.
void use_one_thread();

// Floating-point operations (2 m n k a gemm) that this thread has asked of gemm so far.
double flops_of_this_thread();

// Measured rate of square gemms of size n on this thread, in operations a second, over about `seconds`.
double measure_peak(Index n, double seconds);

}  // namespace ef::blas
