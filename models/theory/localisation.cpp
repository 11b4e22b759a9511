#include "models/theory/localisation.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "engine/error.h"
#include "engine/random.h"

namespace ef {
namespace {

// P(low < mean + sqrt(variance) z < high) for a standard normal z and variance > 0.
double probability(double mean, double variance, double low, double high) {
  const double scale = std::sqrt(2 * variance);
  // Differences of erfc keep their digits in the tail where those of erf cancel.
  const double a = (low - mean) / scale, b = (high - mean) / scale;
  return a > 0 ? (std::erfc(a) - std::erfc(b)) / 2 : (std::erfc(-b) - std::erfc(-a)) / 2;
}

}  // namespace

// ---- Signal propagation probability

double logit_mean(const QKMoments& m, Index tokens, double t) {
  return (t - static_cast<double>(tokens + 1) / 2) * m.trace;
}

double logit_variance(const QKMoments& m, Index tokens, double t) {
  const double n = static_cast<double>(tokens), c = t - (n + 1) / 2;
  return (m.trace_square + m.frobenius_square) * c * c + m.frobenius_square * (n * n - 1) / 12;
}

double rho(const QKMoments& m, Index tokens, double t) {
  if (tokens == 1) return 0;
  const double mean = logit_mean(m, tokens, t), variance = logit_variance(m, tokens, t);
  const double low = -m.lambda, high = m.lambda * static_cast<double>(tokens - 1);
  if (variance > 0) return probability(mean, variance, low, high);
  return low < mean && mean < high ? 1 : 0;
}

std::vector<double> rho_profile(const QKMoments& m, Index tokens) {
  std::vector<double> profile(tokens);
  for (Index t = 1; t <= tokens; ++t) {
    profile[t - 1] = rho(m, tokens, static_cast<double>(t));
  }
  return profile;
}

double rho_limit(const QKMoments& m, double theta) {
  const double c = theta - 0.5, mean = c * m.trace;
  const double variance = (m.trace_square + m.frobenius_square) * c * c + m.frobenius_square / 12;
  if (variance > 0) return probability(mean, variance, 0, m.lambda);
  if (m.trace == 0) return 1;  // before the limit: -lambda < 0 < lambda (T - 1)
  if (mean == 0 || mean == m.lambda) return 0.5;
  return 0 < mean && mean < m.lambda ? 1 : 0;
}

// ---- Regimes

std::string name(Regime regime) {
  switch (regime) {
    case Regime::uniform:
      return "uniform";
    case Regime::late:
      return "late";
    case Regime::middle:
      return "middle";
    case Regime::early:
      return "early";
    case Regime::early_middle:
      return "early-middle";
    case Regime::washed_out:
      return "washed-out";
  }
  return "";
}

char letter(Regime regime) { return ".LMEmx"[static_cast<int>(regime)]; }

double later_share(std::span<const double> profile) {
  const std::size_t n = profile.size();
  const double total = std::accumulate(profile.begin(), profile.end(), 0.0);
  double later = std::accumulate(profile.end() - static_cast<Index>(n / 2), profile.end(), 0.0);
  if (n % 2 == 1) later += profile[n / 2] / 2;
  return total > 0 ? later / total : 0.5;
}

namespace {

double largest(std::span<const double> profile) { return *std::max_element(profile.begin(), profile.end()); }

std::vector<double> limit_profile(const QKMoments& m) {
  constexpr int steps = 256;
  std::vector<double> profile(steps + 1);
  for (int i = 0; i <= steps; ++i) {
    profile[i] = rho_limit(m, static_cast<double>(i) / steps);
  }
  return profile;
}

// The smallest eta at which `holds` for symmetric W, where it holds for all larger ones; 0 if for all.
double smallest_eta(double trace, double lambda, const std::function<bool(std::span<const double>)>& holds) {
  const auto at = [&](double log_eta) {
    const double eta = std::exp(log_eta) * lambda * lambda;
    return holds(limit_profile({trace, eta, eta, lambda}));
  };
  double low = std::log(1e-9), high = std::log(1e9);
  if (at(low)) return 0;
  while (high - low > 1e-6) {
    const double middle = (low + high) / 2;
    (at(middle) ? high : low) = middle;
  }
  return std::exp(high) * lambda * lambda;
}

}  // namespace

Regime regime_of(std::span<const double> profile, bool washed_out) {
  const double later = later_share(profile), end = end_share * largest(profile);
  if (later >= preferred_share) return profile.back() >= end ? Regime::late : Regime::middle;
  if (later <= 1 - preferred_share) return profile.front() >= end ? Regime::early : Regime::early_middle;
  return washed_out ? Regime::washed_out : Regime::uniform;
}

Regime rho_regime(std::span<const double> rho) { return regime_of(rho, largest(rho) < least_rho); }

Regime limit_regime(const QKMoments& m) { return rho_regime(limit_profile(m)); }

double washed_out_from(double trace, double lambda) {
  return smallest_eta(trace, lambda, [](std::span<const double> rho) { return largest(rho) < least_rho; });
}

double unlocalised_from(double trace, double lambda) {
  return smallest_eta(trace, lambda, [](std::span<const double> rho) {
    const double later = later_share(rho);
    return later < preferred_share && later > 1 - preferred_share;
  });
}

// ---- Matrices

namespace {

// Rows of `a` [m, k] times rows of `b` [n, k]: a b^T [m, n].
std::vector<double> times_transposed(std::span<const double> a, std::span<const double> b, Index m, Index n,
                                     Index k) {
  std::vector<double> c(m * n);
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) {
      c[i * n + j] = std::inner_product(a.begin() + i * k, a.begin() + (i + 1) * k, b.begin() + j * k, 0.0);
    }
  }
  return c;
}

// U [d, k] with orthonormal columns: normal numbers through Gram and Schmidt's process, twice ("twice is
// enough", Giraud et al. 2005), one column after another.
std::vector<double> orthonormal_columns(Index d, Index k, const Random& random) {
  std::vector<double> columns(k * d);  // transposed: [k, d]
  for (Index j = 0; j < k; ++j) {
    const auto column = columns.begin() + j * d;
    for (Index i = 0; i < d; ++i) column[i] = random.normal(static_cast<std::uint64_t>(j * d + i));
    for (int pass = 0; pass < 2; ++pass) {
      for (Index before = 0; before < j; ++before) {
        const auto other = columns.begin() + before * d;
        const double dot = std::inner_product(column, column + d, other, 0.0);
        for (Index i = 0; i < d; ++i) column[i] -= dot * other[i];
      }
      const double norm = std::sqrt(std::inner_product(column, column + d, column, 0.0));
      for (Index i = 0; i < d; ++i) column[i] /= norm;
    }
  }
  std::vector<double> u(columns.size());
  for (Index j = 0; j < k; ++j) {
    for (Index i = 0; i < d; ++i) {
      u[i * k + j] = columns[j * d + i];
    }
  }
  return u;
}

std::string text(double x) {
  std::string s = std::to_string(x);
  s.erase(s.find_last_not_of('0') + 1);
  if (s.back() == '.') s.pop_back();
  return s;
}

// Error unless `got` is at least `least`, up to rounding of the numbers that a person typed.
void check_at_least(const std::string& what, double got, const std::string& bound, double least,
                    const std::string& hint) {
  if (!(got >= least - 1e-9 * std::max(1.0, std::fabs(least)))) {
    fail(what, text(got), "at least " + bound + " = " + text(least), hint);
  }
}

void check_possible(const std::string& kind, Index channels, Index rank, const QKMoments& m) {
  const std::vector<std::string>& kinds = matrix_kinds();
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    fail("matrix", in_quotes(kind), "symmetric, general, antisymmetric or low-rank");
  }
  if (channels < 1) fail("channels", std::to_string(channels), "at least 1");
  if (rank < 1 || rank > channels) {
    fail("head dimension", std::to_string(rank), "1 to " + std::to_string(channels), "W has d x d entries");
  }
  if (kind != "low-rank" && rank != channels) {
    fail("matrix " + kind, "head dimension " + std::to_string(rank), std::to_string(channels),
         "the matrix low-rank has a head dimension below the channels");
  }
  for (const double x : {m.trace, m.trace_square, m.frobenius_square}) {
    if (!std::isfinite(x)) fail("moments of W", text(x), "finite numbers");
  }
  const double a = m.trace_square, b = m.frobenius_square, k = static_cast<double>(rank);
  check_at_least("||W||_F^2", b, "|tr W^2|", std::fabs(a), "no matrix has less");
  if (kind == "symmetric" && b > a + 1e-9 * std::max(1.0, a)) {
    fail("||W||_F^2 of a symmetric matrix", text(b), "tr W^2 = " + text(a),
         "the matrices general and antisymmetric have more");
  }
  const double least = m.trace * m.trace / k;
  if (kind == "antisymmetric") {
    check_at_least("(tr W^2 + ||W||_F^2)/2, the symmetric part's square,", (a + b) / 2, "(tr W)^2/d", least,
                   "equal eigenvalues are the extreme case; take a smaller trace");
  } else {
    check_at_least("tr W^2", a, kind == "low-rank" ? "(tr W)^2/k" : "(tr W)^2/d", least,
                   "equal eigenvalues are the extreme case; take a smaller trace, or the matrix "
                   "antisymmetric, whose eigenvalues are complex");
  }
  if (rank == 1 && b > a + 1e-9 * std::max(1.0, a)) {
    fail("||W||_F^2 at rank 1", text(b), "tr W^2 = " + text(a), "nothing stands beside the diagonal");
  }
  if (rank == 1 && a > least + 1e-9 * std::max(1.0, least)) {
    fail("tr W^2 at rank 1", text(a), "(tr W)^2 = " + text(least), "there is one eigenvalue");
  }
}

}  // namespace

std::vector<double> QKMatrix::product() const {
  return times_transposed(query, key, channels, channels, rank);
}

const std::vector<std::string>& matrix_kinds() {
  static const std::vector<std::string> kinds = {"symmetric", "general", "antisymmetric", "low-rank"};
  return kinds;
}

QKMatrix make_matrix(const std::string& kind, Index channels, Index rank, const QKMoments& m,
                     std::uint64_t seed) {
  check_possible(kind, channels, rank, m);
  const Index k = rank;
  const double mean = m.trace / static_cast<double>(k);
  const bool antisymmetric = kind == "antisymmetric";
  const double diagonal = antisymmetric ? (m.trace_square + m.frobenius_square) / 2 : m.trace_square;
  const double rest =
      antisymmetric ? (m.frobenius_square - m.trace_square) / 2 : m.frobenius_square - m.trace_square;

  // sum of squares on the diagonal: k mean^2 + (an even number of) s^2
  const double pairs = static_cast<double>(k / 2 * 2);
  const double spread = diagonal - m.trace * mean;
  const double s = pairs > 0 && spread > 0 ? std::sqrt(spread / pairs) : 0;
  std::vector<double> core(k * k);
  const auto at = [&](Index i, Index j) -> double& { return core[i * k + j]; };
  for (Index i = 0; i < k; ++i) at(i, i) = mean + (i < k / 2 ? s : i >= k - k / 2 ? -s : 0);

  if (k > 1 && rest > 0) {
    const Random random{seed, stream_of(Purpose::simulation, 1), 0};
    double squares = 0;
    for (Index i = 0; i < k; ++i) {
      for (Index j = i + 1; j < k; ++j) {
        at(i, j) = random.normal(static_cast<std::uint64_t>(i * k + j));
        squares += at(i, j) * at(i, j);
      }
    }
    const double scale = std::sqrt(rest / squares / (antisymmetric ? 2 : 1));
    for (Index i = 0; i < k; ++i) {
      for (Index j = i + 1; j < k; ++j) {
        at(i, j) *= scale;
        if (antisymmetric) at(j, i) = -at(i, j);
      }
    }
  }

  QKMatrix w{channels, k, {}, {}};
  w.key = orthonormal_columns(channels, k, {seed, stream_of(Purpose::simulation, 2), 0});
  for (Index i = 0; i < k; ++i) {  // U C = U (C^T)^T
    for (Index j = 0; j < i; ++j) std::swap(at(i, j), at(j, i));
  }
  w.query = times_transposed(w.key, core, channels, k, k);
  return w;
}

QKMoments moments_of(std::span<const double> w, Index channels) {
  QKMoments m;
  const auto at = [&](Index i, Index j) { return w[i * channels + j]; };
  for (Index i = 0; i < channels; ++i) {
    m.trace += at(i, i);
    for (Index j = 0; j < channels; ++j) {
      m.trace_square += at(i, j) * at(j, i);
      m.frobenius_square += at(i, j) * at(i, j);
    }
  }
  return m;
}

}  // namespace ef
