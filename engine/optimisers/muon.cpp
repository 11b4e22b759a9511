// Muon (Jordan et al. 2024): momentum whose singular values are made equal, for the matrices inside of a
// model.
//
//   B <- mu B + G;   M = G + mu B (Nesterov) or B;   w -= lr (s O + decay w),   O near the polar factor of M.
//
// With M = U S V^T the polar factor is U V^T: all directions in which M moves the matrix get the same length.
// Newton and Schulz find it by products alone: X = M / ||M||_F, then five times
//
//   A = X X^T;   X <- a X + (b A + c A^2) X,   (a, b, c) = (3.4445, -4.7750, 2.0315)
//
// on the smaller side. In the basis of U and V that maps each singular value x to a x + b x^3 + c x^5. The
// three numbers are chosen so that small ones grow fast: after five steps those above .01 lie between .7
// and 1.2, and do not converge. --orthogonalise svd takes the exact factor instead.
//
// s = .2 sqrt(max(rows, columns)) makes the step as large as Adam's usually is (Liu et al. 2025, Moonlight),
// so that one learning rate suits both; sqrt(max(1, rows / columns)) is Jordan's. Embeddings, the head, gains
// and biases are AdamW's.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/lapack.h"
#include "engine/matmul/blas.h"
#include "engine/optimisers/optimiser.h"

namespace ef {
namespace {

const Option<double> momentum("momentum", 0.95, below_one(), "mu, how much of the last step goes on");
const Option<bool> nesterov("nesterov", true, "look ahead: of G + mu B");
const Option<std::string> orthogonalise("orthogonalise", "newton-schulz", {"newton-schulz", "svd"},
                                        "how singular values are made equal: nearly, or exactly");
const Option<std::string> size_option("muon-size", "adam", {"adam", "aspect"},
                                      "how large its steps are: as Adam's, or by the matrix's aspect");

constexpr double a = 3.4445, b = -4.7750, c = 2.0315;
constexpr int newton_schulz_steps = 5;

// The rows x columns matrix x, rows <= columns, of norm 1 at most, becomes nearly its polar factor.
void newton_schulz(Index rows, Index columns, std::vector<Real>& x) {
  using blas::Op;
  const auto side = static_cast<std::size_t>(rows * rows);
  thread_local std::vector<Real> gram, polynomial, next;  // a step allocates nothing after the first
  gram.resize(side);
  for (int step = 0; step < newton_schulz_steps; ++step) {
    blas::gemm_exact(Op::as_is, Op::transposed, rows, rows, columns, 1, x.data(), columns, x.data(), columns,
                     0, gram.data(), rows);
    polynomial = gram;
    blas::gemm_exact(Op::as_is, Op::as_is, rows, rows, rows, Real(c), gram.data(), rows, gram.data(), rows,
                     Real(b), polynomial.data(), rows);
    next = x;
    blas::gemm_exact(Op::as_is, Op::as_is, rows, columns, rows, 1, polynomial.data(), rows, x.data(), columns,
                     Real(a), next.data(), columns);
    x.swap(next);
  }
}

// U V^T of all directions that x has.
void polar_by_svd(Index rows, Index columns, std::vector<Real>& x) {
  lapack::Svd svd = lapack::svd(x, rows, columns);
  const Index rank = std::min(rows, columns);
  const Real least =
      svd.values.front() * static_cast<Real>(std::max(rows, columns)) * std::numeric_limits<Real>::epsilon();
  for (Index i = 0; i < rank; ++i) {
    if (svd.values[i] > least) continue;
    for (Index row = 0; row < rows; ++row) svd.u[row * rank + i] = 0;
  }
  blas::gemm_exact(blas::Op::as_is, blas::Op::as_is, rows, columns, rank, 1, svd.u.data(), rank,
                   svd.vt.data(), columns, 0, x.data(), columns);
}

struct Muon : OptimiserRule {
  Real mu;
  bool look_ahead, exact, as_adam;

  explicit Muon(const OptionValues& options)
      : mu(Real(momentum(options))),
        look_ahead(nesterov(options)),
        exact(orthogonalise(options) == "svd"),
        as_adam(size_option(options) == "adam") {}

  bool wants_whole() const override { return true; }
  std::string instead_for(const Parameter& p) const override {
    return p.shape.rank == 2 && p.kind == Parameter::Kind::weight ? "" : "adamw";
  }
  std::vector<Memory> remembers(const Parameter& p) const override { return {{"momentum", p.shape}}; }

  void update(const Moving& p, const OptimiserStep& s) const override {
    const Index rows = p.parameter.shape[0], columns = p.parameter.shape[1];
    const bool tall = rows > columns;  // then the transpose is worked on
    thread_local std::vector<Real> x;
    x.resize(p.n);
    const auto place = [&](Index i) {
      return static_cast<std::size_t>(tall ? i % columns * rows + i / columns : i);
    };
    for (Index i = 0; i < p.n; ++i) {
      const Real g = s.gradient_scale * p.g[i];
      Real& memory = p.memory[0][i];
      memory = without_denormals(mu * memory + g);
      x[place(i)] = look_ahead ? g + mu * memory : memory;
    }
    // By the largest first: the squares of a memory that fades away would all be 0.
    Real largest = 0;
    for (const Real value : x) largest = std::max(largest, std::fabs(value));
    if (largest > 0) {
      for (Real& value : x) value /= largest;
      const double norm = std::sqrt(sum_of_squares(x.data(), p.n));
      for (Real& value : x) value = Real(static_cast<double>(value) / norm);
      const Index short_side = std::min(rows, columns), long_side = std::max(rows, columns);
      if (exact)
        polar_by_svd(short_side, long_side, x);
      else
        newton_schulz(short_side, long_side, x);
    }
    const auto m = static_cast<double>(rows), n = static_cast<double>(columns);
    const double size = as_adam ? 0.2 * std::sqrt(std::max(m, n)) : std::sqrt(std::max(1.0, m / n));
    const Real keep = 1 - s.learning_rate * s.decay, rate = Real(static_cast<double>(s.learning_rate) * size);
    for (Index i = 0; i < p.n; ++i) p.w[i] = keep * p.w[i] - rate * x[place(i)];
  }
};

std::vector<Declaration> options() {
  std::vector<Declaration> all = {momentum, nesterov, orthogonalise, size_option};
  for (const Declaration& of_adam : adam_options()) all.push_back(of_adam);
  return all;
}

const Registered<OptimiserRule, Muon> muon("muon", "momentum with equal singular values; AdamW for the rest",
                                           options());

}  // namespace
}  // namespace ef
