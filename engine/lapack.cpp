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
#else
constexpr auto geev = LAPACKE_sgeev;
constexpr auto syevd = LAPACKE_ssyevd;
constexpr auto gesdd = LAPACKE_sgesdd;
#endif

// A copy to work in: LAPACK overwrites its input. A NaN is refused here, as some of its loops never end on
// one.
std::vector<Real> copy_of(const char* routine, std::span<const Real> a, Index m, Index n) {
  if (static_cast<Index>(a.size()) != m * n) {
    fail(std::string(routine) + ": matrix", std::to_string(a.size()) + " numbers", std::to_string(m * n));
  }
  if (!std::all_of(a.begin(), a.end(), [](Real x) { return std::isfinite(x); })) {
    throw NumericalError(std::string(routine) + ": the matrix contains NaN or infinity");
  }
  return {a.begin(), a.end()};
}

void check(const char* routine, lapack_int info) {
  if (info == 0) return;
  throw NumericalError(std::string(routine) +
                       (info > 0 ? " did not converge" : " was given a wrong argument") +
                       ", info = " + std::to_string(info));
}

}  // namespace

std::vector<std::complex<Real>> eigenvalues(std::span<const Real> a, Index n) {
  std::vector<Real> work = copy_of("geev", a, n, n);
  if (n == 0) return {};
  const auto size = static_cast<std::size_t>(n);
  const auto ld = static_cast<lapack_int>(n);
  std::vector<Real> re(size), im(size);
  check("geev", geev(LAPACK_ROW_MAJOR, 'N', 'N', ld, work.data(), ld, re.data(), im.data(), nullptr, ld,
                     nullptr, ld));
  std::vector<std::complex<Real>> values(size);
  for (std::size_t i = 0; i < size; ++i) values[i] = {re[i], im[i]};
  return values;
}

std::vector<Real> symmetric_eigenvalues(std::span<const Real> a, Index n) {
  std::vector<Real> work = copy_of("syevd", a, n, n);
  if (n == 0) return {};
  const auto ld = static_cast<lapack_int>(n);
  std::vector<Real> values(static_cast<std::size_t>(n));
  check("syevd", syevd(LAPACK_ROW_MAJOR, 'N', 'L', ld, work.data(), ld, values.data()));
  return values;
}

std::vector<Real> singular_values(std::span<const Real> a, Index m, Index n) {
  std::vector<Real> work = copy_of("gesdd", a, m, n);
  if (m == 0 || n == 0) return {};
  std::vector<Real> values(static_cast<std::size_t>(std::min(m, n)));
  Real unused = 0;
  check("gesdd",
        gesdd(LAPACK_ROW_MAJOR, 'N', static_cast<lapack_int>(m), static_cast<lapack_int>(n), work.data(),
              static_cast<lapack_int>(n), values.data(), &unused, 1, &unused, static_cast<lapack_int>(n)));
  return values;
}

}  // namespace ef::lapack
