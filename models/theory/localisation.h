// Where attention looks, as a theory: one query at the end of a random walk of tokens, one query-key matrix
// W.
//
// The question, the random walk, the piecewise linear softmax and the signal propagation probability are
// those of Bao, Hataya and Karakida, "Self-attention Networks Localize When QK-eigenspectrum Concentrates"
// (ICML 2024). The formulas below were derived for this project from these ingredients as we read them, and
// are checked against simulation (models/theory/random_walk.h); where a threshold is our own choice, it says
// so.
//
//   tokens      x_1 ~ N(0, 1), x_t+1 ~ N(x_t, 1), each in d channels; the query is x_T
//   logits      w_t = x_T W x_t^T, of which E w_t = xi t and Cov(w_t, w_s) = b T min(t, s) + a t s, with
//               xi = tr W, a = tr W^2, b = ||W||_F^2 >= |a|. Where W is symmetric, a = b, called eta.
//   surrogate   S_t = clip((1 + (w_t - mean w) / lambda) / T, 0, 1)
//   rho_t       P(0 < S_t < 1): token t is active, its gradient passes
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/real.h"

namespace ef {

// ---- Signal propagation probability

// All that the theory knows of W.
struct QKMoments {
  double trace = 0;             // xi
  double trace_square = 0;      // a
  double frobenius_square = 0;  // b
  double lambda = 1;            // logits are divided by it: sqrt(head_dim)
};

// Mean and variance of the centred logit w_t - mean w, t = 1, ..., T, exact for any W. With c = t - (T +
// 1)/2: c xi and (a + b) c^2 + b (T^2 - 1)/12.
double logit_mean(const QKMoments& m, Index tokens, double t);
double logit_variance(const QKMoments& m, Index tokens, double t);

// P(-lambda < w_t - mean w < lambda (T - 1)), with the logits taken as normal (they are only nearly so). A
// single token has S = 1: not active. Where nothing is random (W = 0) it is 0 or 1.
double rho(const QKMoments& m, Index tokens, double t);
std::vector<double> rho_profile(const QKMoments& m, Index tokens);  // t = 1, ..., T

// Its limit for T -> infinity with theta = t / T in [0, 1]. With c = theta - 1/2: P(0 < c xi + sqrt(v) z <
// lambda), z standard normal, v = (a + b) c^2 + b / 12. Mirrored: rho_theta(xi) = rho_1-theta(-xi).
// Where v = 0: 1 if xi = 0 (all logits are equal); else the formula's own limit, 1/2 on the edges.
double rho_limit(const QKMoments& m, double theta);

// ---- Regimes

// Which sites (positions of tokens) a query listens to.
enum class Regime {
  uniform,       // no half is preferred
  late,          // the later half, up to the query
  middle,        // the later half, but not its end
  early,         // late, mirrored: the earlier half, from the first token on
  early_middle,  // middle, mirrored
  washed_out,    // no half is preferred, and hardly any site is active: chance decides
};
inline constexpr Regime all_regimes[] = {Regime::uniform, Regime::late,         Regime::middle,
                                         Regime::early,   Regime::early_middle, Regime::washed_out};
std::string name(Regime regime);
char letter(Regime regime);  // . L M E m x

// The conditions known to us are asymptotic ("eta small", "eta >> xi^2"). Ours are these, chosen so that each
// asymptotic condition is met exactly in its limit:
//   preferred  a half of the sites has at least 2/3 of the sum of the profile: twice the other half's.
//   end        the last site has at least 1/2 of the largest value: late, else middle. For eta -> 0 it turns
//              at |xi| = 2 lambda. (For the earlier half: the first site.)
//   washed out no half is preferred (eta >> xi^2), and no rho reaches 1/4 (eta >> lambda^2): half of what
//              every site has at xi = 0, eta -> 0.
inline constexpr double preferred_share = 2.0 / 3, end_share = 0.5, least_rho = 0.25;

// What these are read from: the later half's share of the profile's sum (a site in the middle belongs to both
// halves equally; 1/2 where all is 0).
double later_share(std::span<const double> profile);

// By a profile over the sites, first to last: rho_t, or the mean row of attention. `washed_out`: what it is
// called where no half is preferred.
Regime regime_of(std::span<const double> profile, bool washed_out);
Regime rho_regime(std::span<const double> rho);
Regime limit_regime(const QKMoments& m);  // of rho_limit

// The larger side of a boundary in eta for symmetric W with trace xi: from there on ...
double washed_out_from(double trace, double lambda);   // max over theta of rho_limit is below 1/4
double unlocalised_from(double trace, double lambda);  // no half is preferred; 0 if that is so for all eta

// ---- Matrices

// W = W_Q W_K^T with W_Q = U C and W_K = U: U [d, k] has random orthonormal columns, C is the k x k core.
struct QKMatrix {
  Index channels = 0, rank = 0;
  std::vector<double> query, key;       // W_Q, W_K [d, k]
  std::vector<double> product() const;  // W [d, d]
};

// How the core is built. Its mean eigenvalue is xi / k everywhere.
//   symmetric      diagonal, k = d: xi/k + s for one half of the eigenvalues, xi/k - s for the other (where k
//                  is odd, one stays in the middle). Has b = a >= xi^2/d.
//   general        the same diagonal, and normal numbers above it, k = d: real eigenvalues, not normal. Has
//                  b >= a >= xi^2/d.
//   antisymmetric  the diagonal plus a random antisymmetric matrix A, k = d: a = ||S||^2 - ||A||^2. Has
//                  b >= |a| and (a + b)/2 >= xi^2/d.
//   low-rank       as general, with k < d. Has b >= a >= xi^2/k.
const std::vector<std::string>& matrix_kinds();

// Error (with what is possible) where the moments cannot be had, or sizes do not fit. lambda is not used.
QKMatrix make_matrix(const std::string& kind, Index channels, Index rank, const QKMoments& moments,
                     std::uint64_t seed);

// Moments of W [d, d], summed up from its entries; lambda 1.
QKMoments moments_of(std::span<const double> w, Index channels);

}  // namespace ef
