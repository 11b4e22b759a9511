#include "engine/lapack.h"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "engine/error.h"

namespace ef::lapack {
namespace {

#ifdef EF_DOUBLE
constexpr auto geev = LAPACKE_dgeev;
constexpr auto syevd = LAPACKE_dsyevd;
constexpr auto gesdd = LAPACKE_dgesdd;
constexpr auto geqrf = LAPACKE_dgeqrf;
#else
constexpr auto geev = LAPACKE_sgeev;
constexpr auto syevd = LAPACKE_ssyevd;
constexpr auto gesdd = LAPACKE_sgesdd;
constexpr auto geqrf = LAPACKE_sgeqrf;
#endif

using Values = std::vector<Real>;

bool all_finite(std::span<const Real> x) {
  return std::all_of(x.begin(), x.end(), [](Real value) { return std::isfinite(value); });
}

// A copy to work in: LAPACK overwrites its input. A NaN is refused here, as some of its loops never end on
// one.
Values copy_of(const char* routine, std::span<const Real> a, Index m, Index n) {
  if (static_cast<Index>(a.size()) != m * n) {
    fail(std::string(routine) + ": matrix", std::to_string(a.size()) + " numbers", std::to_string(m * n));
  }
  if (!all_finite(a)) throw NumericalError(std::string(routine) + ": the matrix contains NaN or infinity");
  return {a.begin(), a.end()};
}

// After a routine: it succeeded, and what it computed from finite numbers is finite.
void check(const char* routine, lapack_int info, std::initializer_list<std::span<const Real>> results) {
  detail::check(routine, info);
  if (!std::all_of(results.begin(), results.end(), all_finite))
    throw NumericalError(std::string(routine) + ": the result contains NaN or infinity");
}

Values zeros(Index count) { return Values(static_cast<std::size_t>(count)); }

// xGEEV, with vectors in its own packing ('V') or without ('N').
struct Packed {
  Values re, im, left, right;
};
Packed run_geev(std::span<const Real> a, Index n, char vectors) {
  Values work = copy_of("geev", a, n, n);
  if (n == 0) return {};
  const Index size = vectors == 'V' ? n * n : 0;
  Packed p{zeros(n), zeros(n), zeros(size), zeros(size)};
  const auto ld = static_cast<lapack_int>(n);
  const lapack_int info = geev(LAPACK_ROW_MAJOR, vectors, vectors, ld, work.data(), ld, p.re.data(),
                               p.im.data(), p.left.data(), ld, p.right.data(), ld);
  check("geev", info, {p.re, p.im, p.left, p.right});
  return p;
}

std::vector<std::complex<Real>> values_of(const Packed& p) {
  std::vector<std::complex<Real>> values(p.re.size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = {p.re[i], p.im[i]};
  return values;
}

// xSYEVD: with 'V' the vectors take the place of the matrix, with 'N' it is destroyed.
SymmetricEigen run_syevd(std::span<const Real> a, Index n, char vectors) {
  SymmetricEigen e{zeros(n), copy_of("syevd", a, n, n)};
  if (n == 0) return e;
  const auto ld = static_cast<lapack_int>(n);
  const lapack_int info = syevd(LAPACK_ROW_MAJOR, vectors, 'L', ld, e.vectors.data(), ld, e.values.data());
  check("syevd", info, {e.values, vectors == 'V' ? std::span<const Real>(e.vectors) : e.values});
  return e;
}

// xGESDD: 'S' with vectors, 'N' without.
Svd run_gesdd(std::span<const Real> a, Index m, Index n, char vectors) {
  Values work = copy_of("gesdd", a, m, n);
  const Index r = std::min(m, n);
  const bool wanted = vectors == 'S';
  Svd s{zeros(r), zeros(wanted ? m * r : 1), zeros(wanted ? r * n : 1)};
  if (r == 0) return s;
  const auto columns = static_cast<lapack_int>(n);
  const lapack_int info =
      gesdd(LAPACK_ROW_MAJOR, vectors, static_cast<lapack_int>(m), columns, work.data(), columns,
            s.values.data(), s.u.data(), static_cast<lapack_int>(r), s.vt.data(), columns);
  check("gesdd", info, {s.values, s.u, s.vt});
  return s;
}

}  // namespace

void detail::check(const char* routine, int info) {
  if (info == 0) return;
  throw NumericalError(std::string(routine) +
                       (info > 0 ? " did not converge"
                        : info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR
                            ? " found no memory"
                            : " was given a wrong argument") +
                       ", info = " + std::to_string(info));
}

std::vector<std::complex<Real>> eigenvalues(std::span<const Real> a, Index n) {
  return values_of(run_geev(a, n, 'N'));
}

std::vector<Real> symmetric_eigenvalues(std::span<const Real> a, Index n) {
  return run_syevd(a, n, 'N').values;
}

std::vector<Real> singular_values(std::span<const Real> a, Index m, Index n) {
  return run_gesdd(a, m, n, 'N').values;
}

// In xGEEV's packing the vector of a real eigenvalue is a column; those of a conjugate pair share two: the
// real part, then the imaginary part of the first.
Eigen eigen(std::span<const Real> a, Index n) {
  const Packed p = run_geev(a, n, 'V');
  const auto size = static_cast<std::size_t>(n);
  Eigen e{values_of(p), std::vector<std::complex<Real>>(size * size),
          std::vector<std::complex<Real>>(size * size)};
  const auto unpack = [&](const Values& packed, std::vector<std::complex<Real>>& rows) {
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t k = 0; k < size; ++k) {
        const Real* at = packed.data() + k * size + i;
        if (p.im[i] == 0)
          rows[i * size + k] = *at;
        else
          rows[i * size + k] = p.im[i] > 0 ? std::complex(at[0], at[1]) : std::complex(at[-1], -at[0]);
      }
    }
  };
  unpack(p.right, e.right);
  unpack(p.left, e.left);
  return e;
}

SymmetricEigen symmetric_eigen(std::span<const Real> a, Index n) { return run_syevd(a, n, 'V'); }

Svd svd(std::span<const Real> a, Index m, Index n) { return run_gesdd(a, m, n, 'S'); }

std::vector<Real> qr_factor(std::span<const Real> a, Index m, Index n) {
  if (m < n) fail("geqrf: rows of the matrix", std::to_string(m), "at least " + std::to_string(n));
  Values work = copy_of("geqrf", a, m, n), tau = zeros(n), r = zeros(n * n);
  if (n == 0) return r;
  const auto columns = static_cast<lapack_int>(n);
  check("geqrf",
        geqrf(LAPACK_ROW_MAJOR, static_cast<lapack_int>(m), columns, work.data(), columns, tau.data()),
        {work});
  for (Index i = 0; i < n; ++i) std::copy_n(work.data() + i * n + i, n - i, r.data() + i * n + i);
  return r;
}

}  // namespace ef::lapack
