#include "models/qk.h"

#include <algorithm>
#include <cmath>

#include "engine/lapack.h"
#include "engine/matmul/blas.h"

namespace ef {
namespace {

using blas::gemm_exact;
using enum blas::Op;

// a b^T of two [k, d] matrices: [k, k].
std::vector<Real> rows_times_rows(const Tensor& a, const Tensor& b) {
  const Index k = a.shape[0], d = a.shape[1];
  std::vector<Real> product(k * k);
  gemm_exact(as_is, transposed, k, k, d, 1, a.data, d, b.data, d, 0, product.data(), k);
  return product;
}

template <class Numbers>
double inner(const Numbers& a, const Numbers& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return total;
}

std::span<const Real> numbers(const Tensor& x) { return {x.data, static_cast<std::size_t>(x.size())}; }

// sum_ij M_ij M_ji
double square_trace(const std::vector<Real>& m, Index k) {
  double total = 0;
  for (Index i = 0; i < k; ++i) {
    for (Index j = 0; j < k; ++j) {
      total += static_cast<double>(m[i * k + j]) * static_cast<double>(m[j * k + i]);
    }
  }
  return total;
}

}  // namespace

// <x_n W_Q R(-offset), x_t W_K> is <R(offset) of the query's rows, the key's rows>.
QKProduct QKProduct::at_offset(Index offset) const {
  QKProduct turned = *this;
  turned.query.grad = turned.key.grad = nullptr;
  if (frequencies.empty()) return turned;
  const Index half = rank() / 2, d = width();
  turned.turned_ = std::make_shared<std::vector<Real>>(query.data, query.data + query.size());
  turned.query.data = turned.turned_->data();
  for (Index i = 0; i < half; ++i) {
    const double angle = static_cast<double>(offset) * frequencies[i];
    const double c = std::cos(angle), s = std::sin(angle);
    const Real *a = query.data + i * d, *b = query.data + (i + half) * d;
    Real *to_a = turned.query.data + i * d, *to_b = turned.query.data + (i + half) * d;
    for (Index j = 0; j < d; ++j) {
      const auto x = static_cast<double>(a[j]), y = static_cast<double>(b[j]);
      to_a[j] = Real(c * x - s * y);
      to_b[j] = Real(c * y + s * x);
    }
  }
  return turned;
}

std::string QKProduct::describe() const {
  std::string text = "W_Q W_K^T";
  if (factor != 1) text += " times a factor of the layer";
  if (normalised) text += " of the raw weights (queries and keys are normalised)";
  if (!frequencies.empty()) text += " of offset 0 (queries and keys are turned by position)";
  return left_out.empty() ? text : text + "; not in it: " + left_out;
}

// M = W_K^T W_Q, with W_Q^T and W_K^T as the rows of query and key.
std::vector<Real> QKProduct::core() const {
  std::vector<Real> m = rows_times_rows(key, query);
  for (Real& x : m) x *= Real(factor);
  return m;
}

double QKProduct::trace() const { return factor * inner(numbers(query), numbers(key)); }

double QKProduct::trace_square() const { return square_trace(core(), rank()); }

// ||W_Q W_K^T||_F^2 = <W_Q^T W_Q, W_K^T W_K>
double QKProduct::frobenius_square() const {
  return factor * factor * inner(rows_times_rows(query, query), rows_times_rows(key, key));
}

// With QR factorisations W_Q = U R and W_K = V S, W = U (R S^T) V^T has the singular values of the k x k
// matrix R S^T. (The squares of singular values are eigenvalues of a product of Gram matrices, too, but half
// of the digits are lost.)
std::vector<Real> QKProduct::singular_values() const {
  const Index k = rank(), d = width();
  if (k == 0) return {};
  const auto r_factor = [&](const Tensor& rows) {
    std::vector<Real> columns(d * k);
    for (Index i = 0; i < k; ++i) {
      for (Index j = 0; j < d; ++j) columns[j * k + i] = rows.data[i * d + j];
    }
    return lapack::qr_factor(columns, d, k);
  };
  const std::vector<Real> r = r_factor(query), s = r_factor(key);
  std::vector<Real> product(k * k);
  gemm_exact(as_is, transposed, k, k, k, Real(factor), r.data(), k, s.data(), k, 0, product.data(), k);
  return lapack::singular_values(product, k, k);
}

Spectrum QKProduct::spectrum() const {
  Spectrum s;
  const std::vector<Real> m = core();
  s.eigenvalues = lapack::eigenvalues(m, rank());
  s.singular_values = singular_values();
  s.trace = trace();
  s.trace_square = square_trace(m, rank());
  s.frobenius_square = frobenius_square();
  if (s.eigenvalues.empty()) return s;
  const auto k = static_cast<double>(rank());
  s.mean = s.trace / k;
  for (const std::complex<Real>& value : s.eigenvalues) {
    const std::complex<double> lambda(value);
    s.variance += std::norm(lambda - s.mean) / k;
    s.radius = std::max(s.radius, std::abs(lambda));
  }
  return s;
}

}  // namespace ef
