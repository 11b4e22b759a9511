// The one place that speaks to LAPACK. All matrices are row-major and are not changed.
#pragma once
#include <complex>
#include <span>
#include <vector>

#include "engine/real.h"

namespace ef::lapack {

// Eigenvalues of a general real n x n matrix (xGEEV); complex ones come in conjugate pairs.
// Throws NumericalError where LAPACK does not converge or the matrix is not finite.
std::vector<std::complex<Real>> eigenvalues(std::span<const Real> a, Index n);

// Eigenvalues of a symmetric n x n matrix, ascending (xSYEVD); only the lower triangle is read.
std::vector<Real> symmetric_eigenvalues(std::span<const Real> a, Index n);

// Singular values of an m x n matrix, descending (xGESDD); min(m, n) of them.
std::vector<Real> singular_values(std::span<const Real> a, Index m, Index n);

}  // namespace ef::lapack
