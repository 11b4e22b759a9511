// The spectrum of a matrix: eigenvalues, singular values, traces and norms of W = W_Q W_K^T, spectral norm.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <complex>
#include <limits>
#include <vector>

#include "engine/lapack.h"
#include "engine/matmul/blas.h"
#include "engine/ops.h"
#include "engine/tape.h"

namespace ef {

using blas::gemm_exact;
using enum blas::Op;

namespace {

using Complex = std::complex<Real>;

constexpr Real epsilon = std::numeric_limits<Real>::epsilon();

// Below it an eigenvalue is near-defective: see eigenvalues().
const Real least_overlap = 4 * std::sqrt(epsilon);

std::atomic<Index> near_defective{0};

std::span<const Real> numbers(const Tensor& x) { return {x.data, static_cast<std::size_t>(x.size())}; }

Real* saved(const std::vector<Real>& values) {
  Real* copy = Tape::current().activations().allocate<Real>(static_cast<Index>(values.size()));
  std::copy(values.begin(), values.end(), copy);
  return copy;
}

Index size_of_square(const char* op, const char* name, const Tensor& x) {
  check_shape(x.shape.rank == 2 && x.shape[0] == x.shape[1], op, name, x.shape, "[N, N]");
  return x.shape[0];
}

// a^H b of two rows.
Complex inner(const Complex* a, const Complex* b, Index n) {
  Complex total = 0;
  for (Index i = 0; i < n; ++i) total += std::conj(a[i]) * b[i];
  return total;
}

// The order in which eigenvalues() gives them: indices into LAPACK's list. Pairs are moved as a whole, as two
// pairs of equal values must not mix.
std::vector<std::size_t> sorted(const std::vector<Complex>& values) {
  std::vector<std::size_t> firsts, order;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i].imag() >= 0) firsts.push_back(i);
  }
  std::stable_sort(firsts.begin(), firsts.end(), [&](std::size_t i, std::size_t j) {
    const Complex a = values[i], b = values[j];
    return a.real() != b.real() ? a.real() > b.real() : a.imag() > b.imag();
  });
  for (std::size_t i : firsts) {
    order.push_back(i);
    if (values[i].imag() > 0) order.push_back(i + 1);
  }
  return order;
}

// Makes u_i orthogonal to the v_j of the other eigenvalues that are equal to its own but for rounding, where
// LAPACK's vectors are some basis of each eigenspace, the right and the left one chosen apart; returns the
// overlaps |u_i^H v_i| of the unit vectors. In the order of the Schur form u_i^H v_j is 0 for j < i, so one
// sweep from the last to the first solves the triangular system.
std::vector<Real> biorthogonalise(lapack::Eigen& e, Index n) {
  const auto size = static_cast<std::size_t>(n);
  std::vector<Real> overlaps(size);
  Real radius = 0;
  for (const Complex& value : e.values) radius = std::max(radius, std::abs(value));
  for (std::size_t i = size; i-- > 0;) {
    Complex* u = e.left.data() + i * size;
    for (std::size_t j = i + 1; j < size; ++j) {
      const bool conjugates = j == i + 1 && e.values[i].imag() > 0;  // orthogonal as they come
      if (conjugates || overlaps[j] < least_overlap) continue;
      if (std::abs(e.values[i] - e.values[j]) > std::sqrt(epsilon) * radius) continue;
      const Complex *uj = e.left.data() + j * size, *vj = e.right.data() + j * size;
      const Complex factor = std::conj(inner(u, vj, n) / inner(uj, vj, n));
      for (std::size_t k = 0; k < size; ++k) u[k] -= factor * uj[k];
    }
    const Real length = std::sqrt(inner(u, u, n).real());
    for (std::size_t k = 0; k < size; ++k) u[k] /= length;
    overlaps[i] = std::abs(inner(u, e.right.data() + i * size, n));
  }
  return overlaps;
}

struct Spectrum {
  lapack::Eigen e;
  std::vector<Real> overlaps;
};

// Eigenvalues with vectors that are ready for a gradient. A rank-deficient matrix has eigenvalue 0 many
// times, and rounding couples them by about epsilon |M|: next to 0 LAPACK takes that at its word, and finds a
// Jordan block where there is none. So what seems defective is looked at again on M + 2 |M| 1, which has the
// same vectors, and eigenvalues beside which such a coupling is rounding. A true Jordan block stays one.
Spectrum spectrum(const Tensor& m, Index n) {
  Spectrum first{lapack::eigen(numbers(m), n), {}};
  first.overlaps = biorthogonalise(first.e, n);
  const auto defective = [](Real overlap) { return !(overlap >= least_overlap); };
  if (std::none_of(first.overlaps.begin(), first.overlaps.end(), defective)) return first;

  std::vector<Real> shifted(m.data, m.data + n * n);
  Real norm = 0;  // the largest sum of a row, |lambda| <= norm: none is shifted to 0
  for (Index i = 0; i < n; ++i) {
    Real row = 0;
    for (Index j = 0; j < n; ++j) row += std::fabs(m.data[i * n + j]);
    norm = std::max(norm, row);
  }
  const Real shift = 2 * norm;
  for (Index i = 0; i < n; ++i) shifted[i * n + i] += shift;
  Spectrum second{lapack::eigen(shifted, n), {}};
  for (Complex& value : second.e.values) value -= shift;
  second.overlaps = biorthogonalise(second.e, n);
  return second;
}

}  // namespace

Index near_defective_count() { return near_defective; }

// M v = lambda v and u^H M = lambda u^H give dlambda = u^H dM v / (u^H v) (Magnus 1985). With
// g = dF/dRe lambda - i dF/dIm lambda,  dM = Re sum_i g_i conj(u_i) v_i^T / (u_i^H v_i).
// A conjugate pair (lambda, lambda*) adds one term with c = g + (g*)* of lambda*; with u = p + i q and
// v / (u^H v) = x + i y it is p (Re c x - Im c y)^T + q (Re c y + Im c x)^T. So dM = left^T scaled, one
// product of real n x n matrices. Saved: the rows p, q and x, y.
//
// Right and left vectors are computed once, in a forward that records: values alone would be computed for
// nothing there (LAPACK finds vectors with their values, at 2 to 3 times the cost), and a second
// decomposition rounds differently, so that it could sort eigenvalues of equal real part in another order.
// (For the same reason a forward that does not record may differ from one that does in the last digits.)
//
// Where s = |u^H v| is small the eigenvalue nears a defective one: rounding moves it by about epsilon |M| /
// s, which changes 1 / s by a factor of 1 + c epsilon / s^2 (a Jordan block of two, split by d, has s ~ d).
// Measured on random matrices of 4 to 128 rows: c is 0.6 to 0.9 in the median and below 13 for 99 in 100,
// whatever the size. So below 4 sqrt(epsilon) the term may be wrong by its own size, and it is left out.
Tensor eigenvalues(const Tensor& m) {
  const Index n = size_of_square("eigenvalues", "m", m);
  Tape& tape = Tape::current();
  Tensor y = tape.output("eigenvalues", {n, 2}, {m});
  const auto [e, overlaps] =
      y.grad ? spectrum(m, n) : Spectrum{{lapack::eigenvalues(numbers(m), n), {}, {}}, {}};
  const std::vector<std::size_t> order = sorted(e.values);
  for (std::size_t place = 0; place < order.size(); ++place) {
    y.data[2 * place] = e.values[order[place]].real();
    y.data[2 * place + 1] = e.values[order[place]].imag();
  }
  if (!y.grad) return tape.record(y, [] {});

  Real* left = tape.activations().allocate<Real>(n * n);
  Real* right = tape.activations().allocate<Real>(n * n);
  bool* defective = tape.activations().allocate<bool>(n);
  for (Index place = 0; place < n; ++place) {
    const std::size_t i = order[place];
    const Real imaginary = e.values[i].imag();
    defective[place] = !(overlaps[i] >= least_overlap);
    if (imaginary < 0) continue;  // written with its conjugate
    const Complex *u = e.left.data() + i * order.size(), *v = e.right.data() + i * order.size();
    const Complex overlap = inner(u, v, n);
    for (Index k = 0; k < n; ++k) {
      const Complex p = defective[place] ? 0 : u[k], x = defective[place] ? 0 : v[k] / overlap;
      left[place * n + k] = p.real();
      right[place * n + k] = x.real();
      if (imaginary == 0) continue;
      left[(place + 1) * n + k] = p.imag();
      right[(place + 1) * n + k] = x.imag();
    }
  }
  return tape.record(y, [=] {
    Scratch scratch(Tape::current().activations());
    Real* scaled = scratch.reals(n * n);
    for (Index place = 0; place < n;) {
      const bool pair = y.data[2 * place + 1] != 0;
      const Real *g = y.grad + 2 * place, *x = right + place * n;
      const Real re = pair ? g[0] + g[2] : g[0], im = pair ? g[3] - g[1] : 0;
      for (Index k = 0; k < n; ++k) {
        scaled[place * n + k] = re * x[k] - (pair ? im * x[n + k] : 0);
        if (pair) scaled[(place + 1) * n + k] = re * x[n + k] + im * x[k];
      }
      const Index width = pair ? 2 : 1;
      if (defective[place] && (re != 0 || im != 0)) near_defective += width;
      place += width;
    }
    gemm_exact(transposed, as_is, n, n, n, 1, left, n, scaled, n, 1, m.grad, n);
  });
}

// S = (A + A^T) / 2 = U diag(s) U^T.  dS = U diag(ds) U^T, which is symmetric, so it is dA as well.  Saved:
// U.
Tensor symmetric_eigenvalues(const Tensor& a) {
  const Index n = size_of_square("symmetric_eigenvalues", "a", a);
  Tape& tape = Tape::current();
  Tensor y = tape.output("symmetric_eigenvalues", {n}, {a});
  std::vector<Real> half(n * n);
  for (Index i = 0; i < n; ++i) {
    // Halves are added, as a sum could overflow.
    for (Index j = 0; j < n; ++j) half[i * n + j] = a.data[i * n + j] / 2 + a.data[j * n + i] / 2;
  }
  lapack::SymmetricEigen e;
  if (y.grad)
    e = lapack::symmetric_eigen(half, n);
  else
    e.values = lapack::symmetric_eigenvalues(half, n);
  std::copy(e.values.begin(), e.values.end(), y.data);
  const Real* u = saved(e.vectors);
  return tape.record(y, [=] {
    Scratch scratch(Tape::current().activations());
    Real* scaled = scratch.reals(n * n);  // U diag(ds)
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) scaled[i * n + j] = u[i * n + j] * y.grad[j];
    }
    gemm_exact(as_is, transposed, n, n, n, 1, scaled, n, u, n, 1, a.grad, n);
  });
}

// A = U diag(s) V^T.  dA = U diag(ds) V^T, at equal or zero values one of the subgradients.  Saved: U, V^T.
Tensor singular_values(const Tensor& a) {
  check_shape(a.shape.rank == 2, "singular_values", "a", a, "[M, N]");
  const Index m = a.shape[0], n = a.shape[1], r = std::min(m, n);
  Tape& tape = Tape::current();
  Tensor y = tape.output("singular_values", {r}, {a});
  lapack::Svd s;
  if (y.grad)
    s = lapack::svd(numbers(a), m, n);
  else
    s.values = lapack::singular_values(numbers(a), m, n);
  std::copy(s.values.begin(), s.values.end(), y.data);
  const Real *u = saved(s.u), *vt = saved(s.vt);
  return tape.record(y, [=] {
    Scratch scratch(Tape::current().activations());
    Real* scaled = scratch.reals(r * n);  // diag(ds) V^T
    for (Index i = 0; i < r; ++i) {
      for (Index j = 0; j < n; ++j) scaled[i * n + j] = y.grad[i] * vt[i * n + j];
    }
    gemm_exact(as_is, as_is, m, n, r, 1, u, r, scaled, n, 1, a.grad, n);
  });
}

namespace {

void check_factors(const char* op, const Tensor& q, const Tensor& k) {
  check_shape(q.shape.rank == 2, op, "q", q, "[D, C]");
  check_shape(k.shape == q.shape, op, "k", k, q.shape);
}

// a b^T [D, D] of a and b [D, C], in memory of the tape.
Real* saved_product(const Tensor& a, const Tensor& b) {
  const Index rows = a.shape[0], c = a.shape[1];
  Real* product = Tape::current().activations().allocate<Real>(rows * rows);
  gemm_exact(as_is, transposed, rows, rows, c, 1, a.data, c, b.data, c, 0, product, rows);
  return product;
}

// x.grad += factor op(m) b, for m [D, D], b [D, C].
void add_product(const Tensor& x, Real factor, blas::Op op, const Real* m, const Tensor& b) {
  const Index rows = b.shape[0], c = b.shape[1];
  if (x.grad) gemm_exact(op, as_is, rows, c, rows, factor, m, rows, b.data, c, 1, x.grad, c);
}

}  // namespace

// M = k q^T.  dq = dM^T k,  dk = dM q.
Tensor product_core(const Tensor& q, const Tensor& k) {
  check_factors("product_core", q, k);
  const Index rows = q.shape[0], c = q.shape[1];
  Tensor y = Tape::current().output("product_core", {rows, rows}, {q, k});
  gemm_exact(as_is, transposed, rows, rows, c, 1, k.data, c, q.data, c, 0, y.data, rows);
  return Tape::current().record(y, [=] {
    add_product(q, 1, transposed, y.grad, k);
    add_product(k, 1, as_is, y.grad, q);
  });
}

// tr W = tr q^T k = <q, k>.  dq = g k,  dk = g q.
Tensor product_trace(const Tensor& q, const Tensor& k) {
  check_factors("product_trace", q, k);
  Tensor y = Tape::current().output("product_trace", {1}, {q, k});
  double total = 0;
  for (Index i = 0; i < q.size(); ++i)
    total += static_cast<double>(q.data[i]) * static_cast<double>(k.data[i]);
  y.data[0] = Real(total);
  return Tape::current().record(y, [=] {
    const Real g = y.grad[0];
    for (Index i = 0; q.grad && i < q.size(); ++i) q.grad[i] += g * k.data[i];
    for (Index i = 0; k.grad && i < k.size(); ++i) k.grad[i] += g * q.data[i];
  });
}

// tr W^2 = tr M^2 = sum_ij M_ij M_ji with the core M = k q^T, as tr (q^T k)^2 = tr (k q^T)^2.
// dM = 2 g M^T, so dq = dM^T k = 2 g M k,  dk = dM q = 2 g M^T q.  Saved: M.
Tensor product_trace_square(const Tensor& q, const Tensor& k) {
  check_factors("product_trace_square", q, k);
  const Index rows = q.shape[0];
  Tensor y = Tape::current().output("product_trace_square", {1}, {q, k});
  const Real* core = saved_product(k, q);
  double total = 0;
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < rows; ++j)
      total += static_cast<double>(core[i * rows + j]) * static_cast<double>(core[j * rows + i]);
  }
  y.data[0] = Real(total);
  return Tape::current().record(y, [=] {
    add_product(q, 2 * y.grad[0], as_is, core, k);
    add_product(k, 2 * y.grad[0], transposed, core, q);
  });
}

// |W|_F^2 = tr q^T k k^T q = <q q^T, k k^T>.  dq = 2 g (k k^T) q,  dk = 2 g (q q^T) k.  Saved: both products.
Tensor product_frobenius_square(const Tensor& q, const Tensor& k) {
  check_factors("product_frobenius_square", q, k);
  const Index rows = q.shape[0];
  Tensor y = Tape::current().output("product_frobenius_square", {1}, {q, k});
  const Real *qq = saved_product(q, q), *kk = saved_product(k, k);
  double total = 0;
  for (Index i = 0; i < rows * rows; ++i) total += static_cast<double>(qq[i]) * static_cast<double>(kk[i]);
  y.data[0] = Real(total);
  return Tape::current().record(y, [=] {
    add_product(q, 2 * y.grad[0], as_is, kk, q);
    add_product(k, 2 * y.grad[0], as_is, qq, k);
  });
}

// sigma = u^T W v.  dW = g u v^T.  Saved: copies of u and v, which power_iteration() may change before the
// backward.
Tensor spectral_norm(const Tensor& w, const Real* u, const Real* v) {
  check_shape(w.shape.rank == 2, "spectral_norm", "w", w, "[M, N]");
  const Index m = w.shape[0], n = w.shape[1];
  Tape& tape = Tape::current();
  Tensor y = tape.output("spectral_norm", {1}, {w});
  Real* left = tape.activations().allocate<Real>(m);
  Real* right = tape.activations().allocate<Real>(n);
  std::copy_n(u, m, left);
  std::copy_n(v, n, right);
  double total = 0;
  for (Index i = 0; i < m; ++i) {
    double row = 0;
    for (Index j = 0; j < n; ++j) row += static_cast<double>(w.data[i * n + j]) * static_cast<double>(v[j]);
    total += static_cast<double>(u[i]) * row;
  }
  y.data[0] = Real(total);
  return tape.record(y,
                     [=] { gemm_exact(as_is, as_is, m, n, 1, y.grad[0], left, 1, right, n, 1, w.grad, n); });
}

namespace {

// Scales x to length one; first by its largest number, so that no square overflows or vanishes. A vector of
// zeros becomes a random direction.
void normalise(Real* x, Index n) {
  if (std::all_of(x, x + n, [](Real value) { return value == 0; })) {
    const Random random{0, stream_of(Purpose::initialise), 0};
    for (Index i = 0; i < n; ++i) x[i] = Real(random.normal(static_cast<std::uint64_t>(i)));
  }
  Real largest = 0;
  for (Index i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
  Real squares = 0;
  for (Index i = 0; i < n; ++i) {
    x[i] /= largest;
    squares += x[i] * x[i];
  }
  const Real length = std::sqrt(squares);
  for (Index i = 0; i < n; ++i) x[i] /= length;
}

}  // namespace

// v <- W^T u / |W^T u|,  u <- W v / |W v| (Miyato et al. 2018, algorithm 1): the angles to the vectors of the
// largest singular value shrink by (s_2 / s_1)^2 a step.
void power_iteration(const Real* w, Index m, Index n, Real* u, Real* v, int steps) {
  for (int step = 0; step < steps; ++step) {
    gemm_exact(transposed, as_is, n, 1, m, 1, w, n, u, 1, 0, v, 1);
    normalise(v, n);
    gemm_exact(as_is, as_is, m, 1, n, 1, w, n, v, 1, 0, u, 1);
    normalise(u, m);
  }
}

}  // namespace ef
