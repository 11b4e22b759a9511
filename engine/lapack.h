// The one place that speaks to LAPACK. All matrices are row-major and are not changed.
//
// Each function throws Error for a matrix of the wrong size, and NumericalError where the matrix is not
// finite, LAPACK does not converge, or the result overflows. Each allocates what it returns and works in.
#pragma once
#include <complex>
#include <span>
#include <vector>

#include "engine/real.h"

namespace ef::lapack {

// Eigenvalues of a general real n x n matrix (xGEEV); complex ones come in conjugate pairs.
std::vector<std::complex<Real>> eigenvalues(std::span<const Real> a, Index n);

// Eigenvalues of a symmetric n x n matrix, ascending (xSYEVD); only the lower triangle is read.
std::vector<Real> symmetric_eigenvalues(std::span<const Real> a, Index n);

// Singular values of an m x n matrix, descending (xGESDD); min(m, n) of them.
std::vector<Real> singular_values(std::span<const Real> a, Index m, Index n);

// The same with vectors, of length one. They are for gradients inside the engine: their sign or phase is
// arbitrary, and where values are equal, so are they.

// a v = lambda v and u^H a = lambda u^H (xGEEV). Of a conjugate pair the positive imaginary part comes first.
struct Eigen {
  std::vector<std::complex<Real>> values;
  std::vector<std::complex<Real>> right, left;  // n x n: v of values[i] in row i of right, u in that of left
};
Eigen eigen(std::span<const Real> a, Index n);

// a = vectors diag(values) vectors^T, values ascending (xSYEVD); only the lower triangle is read.
struct SymmetricEigen {
  std::vector<Real> values;
  std::vector<Real> vectors;  // n x n: of values[i] in column i
};
SymmetricEigen symmetric_eigen(std::span<const Real> a, Index n);

// a = u diag(values) vt, values descending (xGESDD), with r = min(m, n) of them.
struct Svd {
  std::vector<Real> values;
  std::vector<Real> u, vt;  // m x r and r x n
};
Svd svd(std::span<const Real> a, Index m, Index n);

// The upper triangular n x n factor of a = Q R, Q^T Q = 1, of an m x n matrix with m >= n (xGEQRF). Its
// diagonal may have either sign.
std::vector<Real> qr_factor(std::span<const Real> a, Index m, Index n);

namespace detail {
// Throws NumericalError unless `info`, as a routine of LAPACK returned it, is 0.
void check(const char* routine, int info);
}  // namespace detail

}  // namespace ef::lapack
