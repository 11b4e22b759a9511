#include "models/theory/random_walk.h"

#include <algorithm>
#include <cmath>

#include "engine/error.h"
#include "engine/matmul/blas.h"
#include "engine/random.h"
#include "engine/softmax_row.h"

namespace ef {
namespace {

using Heads = std::vector<std::vector<Real>>;

constexpr Index chunk_size = 16;  // draws

void check(const RandomWalk& walk, const Heads& heads) {
  if (walk.tokens < 2)
    fail("tokens", std::to_string(walk.tokens), "at least 2", "a single one has no choice");
  if (walk.channels < 1) fail("channels", std::to_string(walk.channels), "at least 1");
  if (walk.draws < 2) fail("draws", std::to_string(walk.draws), "at least 2", "an error needs two");
  for (const std::vector<Real>& w : heads) {
    const auto size = static_cast<Index>(w.size());
    if (size != walk.channels * walk.channels) {
      fail("matrix", std::to_string(size) + " entries", std::to_string(walk.channels * walk.channels));
    }
  }
}

// Calls simulate(first draw, last draw, its own Sums) for all chunks, at the same time, and merges what it
// got into `total` in the order of the chunks.
template <class Sums, class Simulate>
void in_chunks(Index draws, Workers& workers, Sums& total, const DrawsDone& done, const Simulate& simulate) {
  const Sums zero = total;
  std::vector<Sums> sums(workers.count(), zero);
  for (Index first = 0; first < draws; first += chunk_size * workers.count()) {
    workers.run([&](Index worker) {
      Sums& own = sums[worker];
      own = zero;
      const Index begin = std::min(draws, first + worker * chunk_size);
      simulate(begin, std::min(draws, begin + chunk_size), own);
    });
    for (const Sums& own : sums) total += own;
    if (done) done(std::min(draws, first + chunk_size * workers.count()));
  }
}

// Sum and sum of squares of one number a draw.
struct Moments2 {
  double sum = 0, squares = 0;
  void add(double x) {
    sum += x;
    squares += x * x;
  }
  void operator+=(const Moments2& other) {
    sum += other.sum;
    squares += other.squares;
  }
  Estimate estimate(Index draws) const {
    const double n = static_cast<double>(draws), mean = sum / n;
    return {mean, std::sqrt(std::max(0.0, squares / n - mean * mean) / (n - 1))};
  }
};

template <class T>
void add_each(std::vector<T>& to, const std::vector<T>& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

Real dot(const Real* a, const Real* b, Index n) {
  Real sum = 0;
  EF_REDUCE(sum) for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

double sum_of(const Real* x, Index n) {
  double sum = 0;
  EF_REDUCE(sum) for (Index i = 0; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

// Turns a row of n logits into attention, in place; returns its entropy in nats:
// log Z + sum A (max - s), with A = e^(s - max) / Z.
double attend(Real* row, Index n) {
  Real logits_top = largest(row, n), total = 0, weighted = 0;
#pragma omp simd reduction(+ : total, weighted)
  for (Index t = 0; t < n; ++t) {
    const Real below = row[t] - logits_top, e = fast_exp(below);
    // Where e underflows to 0, 0 * below is 0: below is finite.
    weighted -= e * below;
    total += e;
    row[t] = e;
  }
  const Real inverse = 1 / total;
  for (Index t = 0; t < n; ++t) row[t] *= inverse;
  return std::log(static_cast<double>(total)) + static_cast<double>(weighted * inverse);
}

}  // namespace

std::vector<Real> logit_matrix(const QKMatrix& w, double lambda) {
  if (!(lambda > 0)) fail("lambda", std::to_string(lambda), "a positive number");
  std::vector<Real> scaled;
  for (const double x : w.product()) scaled.push_back(static_cast<Real>(x / lambda));
  return scaled;
}

void draw_tokens(const RandomWalk& walk, Index draw, Real* x) {
  const Random random{walk.seed, stream_of(Purpose::simulation), static_cast<std::uint64_t>(draw)};
  std::vector<double> position(walk.channels);
  std::uint64_t index = 0;
  for (Index t = 1; t <= walk.tokens; ++t) {
    const double scale = walk.normalised ? 1 / std::sqrt(static_cast<double>(t)) : 1;
    for (double& p : position) {
      p += random.normal(index++);
      *x++ = static_cast<Real>(scale * p);
    }
  }
}

// ---- The last row

namespace {

struct LastRowSums {
  std::vector<double> active, attention;  // [head, T]
  std::vector<Moments2> entropy;          // [head]
  void operator+=(const LastRowSums& other) {
    add_each(active, other.active);
    add_each(attention, other.attention);
    add_each(entropy, other.entropy);
  }
};

// Adds 1 where token t of n is active: |lambda| is in the logits already.
void count_active(const Real* logits, Index n, double* active) {
  const Real mean = static_cast<Real>(sum_of(logits, n) / static_cast<double>(n));
  const Real high = static_cast<Real>(n - 1);
  for (Index t = 0; t < n; ++t) {
    const Real centred = logits[t] - mean;
    active[t] += centred > -1 && centred < high ? 1.0 : 0.0;
  }
}

}  // namespace

std::vector<LastRow> simulate_last_row(const RandomWalk& walk, const Heads& heads, Workers& workers,
                                       const DrawsDone& done) {
  check(walk, heads);
  const Index T = walk.tokens, C = walk.channels;
  const std::size_t sites = heads.size() * static_cast<std::size_t>(T);
  LastRowSums total{std::vector<double>(sites), std::vector<double>(sites),
                    std::vector<Moments2>(heads.size())};
  in_chunks(walk.draws, workers, total, done, [&](Index first, Index last, LastRowSums& sums) {
    const Index draws = last - first;
    std::vector<Real> tokens(draws * T * C), row(T);
    std::vector<Real> query(draws * C);
    for (Index i = 0; i < draws; ++i) draw_tokens(walk, first + i, tokens.data() + i * T * C);
    for (std::size_t head = 0; head < heads.size(); ++head) {
      double* active = sums.active.data() + head * static_cast<std::size_t>(T);
      double* attention = sums.attention.data() + head * static_cast<std::size_t>(T);
      // The rows x_T W of all draws: x_T is the last row of each X.
      blas::gemm_exact(blas::Op::as_is, blas::Op::as_is, draws, C, C, 1, tokens.data() + (T - 1) * C, T * C,
                       heads[head].data(), C, 0, query.data(), C);
      for (Index i = 0; i < draws; ++i) {
        const Real* x = tokens.data() + i * T * C;
        for (Index t = 0; t < T; ++t) {
          row[t] = dot(x + t * C, query.data() + i * C, C);
        }
        count_active(row.data(), T, active);
        sums.entropy[head].add(attend(row.data(), T) / std::log(static_cast<double>(T)));
        for (Index t = 0; t < T; ++t) attention[t] += static_cast<double>(row[t]);
      }
    }
  });

  const double n = static_cast<double>(walk.draws);
  std::vector<LastRow> rows;
  for (std::size_t head = 0; head < heads.size(); ++head) {
    LastRow row;
    for (std::size_t t = 0; t < static_cast<std::size_t>(T); ++t) {
      const std::size_t at = head * static_cast<std::size_t>(T) + t;
      const double shrunk = (total.active[at] + 0.5) / (n + 1);
      row.rho.push_back({total.active[at] / n, std::sqrt(shrunk * (1 - shrunk) / n)});
      row.attention.push_back(total.attention[at] / n);
    }
    row.entropy = total.entropy[head].estimate(walk.draws);
    rows.push_back(std::move(row));
  }
  return rows;
}

Regime softmax_regime(const LastRow& row) {
  const std::size_t n = row.attention.size(), bins = std::min<std::size_t>(16, n);
  std::vector<double> profile(bins);  // means, as bins may differ by one site
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const Share sites = share_of(static_cast<Index>(n), static_cast<Index>(bin), static_cast<Index>(bins));
    for (Index t = sites.first; t < sites.last; ++t) {
      profile[bin] += row.attention[t] / static_cast<double>(sites.size());
    }
  }
  return regime_of(profile, row.entropy.mean < least_entropy_of_rows);
}

// ---- The whole pattern

namespace {

struct PatternSums {
  struct Head {
    Moments2 row_entropy, residual, cosine;
    std::array<Moments2, 4> quarters;
    std::vector<Moments2> profile;  // [T]
    std::vector<Real> last_rows;    // [draws so far, T]
    void operator+=(const Head& other) {
      row_entropy += other.row_entropy;
      residual += other.residual;
      cosine += other.cosine;
      for (std::size_t q = 0; q < 4; ++q) quarters[q] += other.quarters[q];
      add_each(profile, other.profile);
      last_rows.insert(last_rows.end(), other.last_rows.begin(), other.last_rows.end());
    }
  };
  std::vector<Head> heads;
  void operator+=(const PatternSums& other) { add_each(heads, other.heads); }
};

// ||Y - mean of rows|| / ||Y||, and the mean cosine of two rows: with y_t of length one,
// (||sum y_t||^2 - T) / (T (T - 1)). A row of zeros has cosine 0 with all others.
void add_collapse(const Real* y, Index T, Index C, PatternSums::Head& sums) {
  std::vector<double> mean(C), direction(C);
  double squares = 0, ones = 0;
  for (Index t = 0; t < T; ++t) {
    const Real* row = y + t * C;
    const double square = static_cast<double>(dot(row, row, C));
    const double inverse = square > 0 ? 1 / std::sqrt(square) : 0;
    squares += square;
    ones += square > 0 ? 1 : 0;
    for (Index c = 0; c < C; ++c) {
      const double value = static_cast<double>(row[c]);
      mean[c] += value / static_cast<double>(T);
      direction[c] += value * inverse;
    }
  }
  double of_mean = 0, of_direction = 0;
  for (const double m : mean) of_mean += m * m;
  for (const double m : direction) of_direction += m * m;
  const double n = static_cast<double>(T);
  sums.residual.add(squares > 0 ? std::sqrt(std::max(0.0, 1 - n * of_mean / squares)) : 0);
  sums.cosine.add((of_direction - ones) / (n * (n - 1)));
}

// H(p) / log T of the mean p of N rows a_i. Linearised, the error is that of the mean of -sum a_i log p; the
// bias is -sum Var(p_t) / (2 p_t).
Estimate profile_entropy(const PatternSums::Head& sums, Index draws) {
  const std::size_t T = sums.profile.size();
  const double log_length = std::log(static_cast<double>(T));
  std::vector<double> surprise(T);
  double entropy = 0, bias = 0;
  for (std::size_t t = 0; t < T; ++t) {
    const Estimate p = sums.profile[t].estimate(draws);
    if (p.mean <= 0) continue;
    surprise[t] = -std::log(p.mean);
    entropy += p.mean * surprise[t];
    bias -= p.standard_error * p.standard_error / (2 * p.mean);
  }
  Moments2 linear;
  for (auto row = sums.last_rows.begin(); row != sums.last_rows.end(); row += static_cast<Index>(T)) {
    double x = 0;
    for (std::size_t t = 0; t < T; ++t) x += static_cast<double>(row[static_cast<Index>(t)]) * surprise[t];
    linear.add(x);
  }
  return {(entropy - bias) / log_length, linear.estimate(draws).standard_error / log_length};
}

}  // namespace

std::vector<SoftmaxStatistics> simulate_softmax(const RandomWalk& walk, const Heads& heads, Workers& workers,
                                                const DrawsDone& done) {
  check(walk, heads);
  const Index T = walk.tokens, C = walk.channels;
  PatternSums total;
  total.heads.resize(heads.size());
  for (PatternSums::Head& head : total.heads) head.profile.resize(T);
  in_chunks(walk.draws, workers, total, done, [&](Index first, Index last, PatternSums& sums) {
    const auto size = static_cast<std::size_t>(T * C);
    std::vector<Real> x(size), xw(size), y(size), pattern(T * T);
    for (Index draw = first; draw < last; ++draw) {
      draw_tokens(walk, draw, x.data());
      for (std::size_t h = 0; h < heads.size(); ++h) {
        PatternSums::Head& head = sums.heads[h];
        using blas::Op;
        blas::gemm_exact(Op::as_is, Op::as_is, T, C, C, 1, x.data(), C, heads[h].data(), C, 0, xw.data(), C);
        blas::gemm_exact(Op::as_is, Op::transposed, T, T, C, 1, xw.data(), C, x.data(), C, 0, pattern.data(),
                         T);
        double entropy = 0;
        for (Index n = 1; n <= T; ++n) {
          Real* row = pattern.data() + (n - 1) * T;
          const double nats = attend(row, n);
          if (n > 1) entropy += nats / std::log(static_cast<double>(n));
          std::fill(row + n, row + T, Real(0));
        }
        head.row_entropy.add(entropy / static_cast<double>(T - 1));

        const Real* row = pattern.data() + (T - 1) * T;
        std::array<double, 4> mass{};
        for (Index t = 0; t < T; ++t) {
          const double a = static_cast<double>(row[t]);
          mass[4 * t / T] += a;
          head.profile[t].add(a);
        }
        for (std::size_t q = 0; q < 4; ++q) head.quarters[q].add(mass[q]);
        head.last_rows.insert(head.last_rows.end(), row, row + T);

        blas::gemm_exact(Op::as_is, Op::as_is, T, C, T, 1, pattern.data(), T, x.data(), C, 0, y.data(), C);
        add_collapse(y.data(), T, C, head);
      }
    }
  });

  std::vector<SoftmaxStatistics> all;
  for (const PatternSums::Head& head : total.heads) {
    SoftmaxStatistics s;
    s.row_entropy = head.row_entropy.estimate(walk.draws);
    s.profile_entropy = profile_entropy(head, walk.draws);
    for (std::size_t q = 0; q < 4; ++q) s.quarters[q] = head.quarters[q].estimate(walk.draws);
    s.residual = head.residual.estimate(walk.draws);
    s.cosine = head.cosine.estimate(walk.draws);
    for (const Moments2& site : head.profile) s.profile.push_back(site.estimate(walk.draws));
    all.push_back(std::move(s));
  }
  return all;
}

}  // namespace ef
