// Probes of attention: where its rows put their mass, and the logits that they come from.
//
// Row n of a causal pattern sees n tokens. A layer whose attention does not show the points that a probe
// reads is left out of its scalars, and is NaN in its arrays.
#include <algorithm>
#include <numeric>

#include "models/probes_shared.h"

namespace ef {
namespace {

using namespace probes;

// ---- Entropy

// -sum A log A in nats, with 0 log 0 = 0.
double entropy(const Real* row, Index n) {
  double sum = 0;
  for (Index t = 0; t < n; ++t) {
    const double a = static_cast<double>(row[t]);
    if (a != 0) sum -= a * std::log(a);
  }
  return sum;
}

// The least entropy that a row of T logits of Euclidean norm s can have (Zhai et al. 2023, theorem 3.1):
//   log(1 + (T - 1) e) + s sqrt(T (T - 1)) e / (1 + (T - 1) e),   e = exp(-s sqrt(T / (T - 1))).
// A row of one token has entropy 0.
double least_entropy(double s, Index tokens) {
  if (tokens == 1) return 0;
  const double n = static_cast<double>(tokens), e = std::exp(-s * std::sqrt(n / (n - 1)));
  return std::log(1 + (n - 1) * e) + s * std::sqrt(n * (n - 1)) * e / (1 + (n - 1) * e);
}

// ||X X^T||_2 = sigma_max(X)^2 of each sequence of X [B, T, C].
std::vector<double> gram_norms(const Tensor& x) {
  std::vector<double> norms;
  for (Index b = 0; b < x.shape[0]; ++b) {
    const std::vector<Real> sigma = singular_values(sequence(x, b), x.shape[1], x.shape[2]);
    norms.push_back(sigma.empty() ? undefined : std::pow(static_cast<double>(sigma[0]), 2));
  }
  return norms;
}

// ||factor W_Q W_K^T||_2
double spectral_norm(const QKProduct& product) {
  try {
    return static_cast<double>(product.singular_values().at(0));
  } catch (const NumericalError&) {
    return undefined;
  }
}

// Entropy of rows 2 to T, as it is and divided by log n: row 1 has no choice (T = 1: NaN). And of the last
// row, beside its bound from below, both as means over the sequences, with
//   s = |logit_scale| ||factor W_Q W_K^T||_2 ||X X^T||_2.
// X is what the attention reads, so gains of a norm before it are in X. The bound knows nothing of biases of
// q and k, rotary positions, norms of q and k: where a layer has these, its entropy may lie below.
void read_entropy(const Observation& o, Reading& r) {
  const std::vector<QKProduct> products = o.model.qk();
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor pattern = o.at(layer, "attn.pattern");
    if (pattern.size() == 0) continue;
    const Index batch = pattern.shape[0], heads = pattern.shape[1], tokens = pattern.shape[2];
    for (Index head = 0; head < heads; ++head) {
      double nats = 0, normalised = 0, last = 0;
      for (Index b = 0; b < batch; ++b) {
        const Real* rows = pattern.data + (b * heads + head) * tokens * tokens;
        for (Index n = 2; n <= tokens; ++n) {
          const double row = entropy(rows + (n - 1) * tokens, n);
          nats += row;
          normalised += row / std::log(static_cast<double>(n));
        }
        last += entropy(rows + (tokens - 1) * tokens, tokens);
      }
      const double count = static_cast<double>(batch * (tokens - 1));
      r.add(layer, head, "nats", ratio(nats, count));
      r.add(layer, head, "normalised", ratio(normalised, count));
      r.add(layer, head, "last_row", last / static_cast<double>(batch));
    }

    const Tensor x = o.at(layer, "attn_in");
    if (x.size() == 0) continue;
    const std::vector<double> norms = gram_norms(x);
    for (const QKProduct& product : products) {
      if (product.layer != layer) continue;
      const double norm = std::fabs(product.logit_scale) * spectral_norm(product);
      double bound = 0;
      for (const double gram : norms) bound += least_entropy(norm * gram, tokens);
      r.add(layer, product.head, "zhai_bound", bound / static_cast<double>(norms.size()));
    }
  }
}

// ---- By relative position

constexpr Index bins = 16;

// Adds the values of a row of n to bins over relative position: token t = 1, ..., n covers (t - 1, t] / n,
// bin b = 0, ..., 15 covers (b, b + 1] / 16, and a value is shared among the bins in proportion to the
// overlap. So equal values fill equal bins, whatever n is.
void spread(const double* row, Index n, double* into) {
  for (Index t = 0, b = 0, at = 0; at < bins * n;) {  // lengths in units of 1 / (16 n)
    const Index token_ends = bins * (t + 1), bin_ends = n * (b + 1), end = std::min(token_ends, bin_ends);
    into[b] += row[t] * static_cast<double>(end - at) / static_cast<double>(bins);
    at = end;
    if (at == token_ends) ++t;
    if (at == bin_ends) ++b;
  }
}

// Rows of the last quarter, 3 T / 4 < n <= T: long enough to have a profile, and near the query at the end of
// the row of which the theory speaks. The first of them:
Index first_late_row(Index tokens) { return tokens * 3 / 4 + 1; }

// The mean row of the last quarter's rows; all 16 bins add up to 1.
void read_profile(const Observation& o, Reading& r) {
  ByHead profiles;
  std::vector<double> row;
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor pattern = o.at(layer, "attn.pattern");
    if (pattern.size() == 0) continue;
    const Index batch = pattern.shape[0], heads = pattern.shape[1], tokens = pattern.shape[2];
    const Index first = first_late_row(tokens);
    for (Index head = 0; head < heads; ++head) {
      std::vector<double> profile(bins);
      for (Index b = 0; b < batch; ++b) {
        for (Index n = first; n <= tokens; ++n) {
          const Real* a = pattern.data + ((b * heads + head) * tokens + n - 1) * tokens;
          row.assign(a, a + n);
          spread(row.data(), n, profile.data());
        }
      }
      for (double& mass : profile) mass /= static_cast<double>(batch * (tokens - first + 1));
      profiles.rows.push_back({layer, head, {profile.begin(), profile.end()}});
      r.add(layer, head, "last_quarter", profile[12] + profile[13] + profile[14] + profile[15]);
      r.add(layer, head, "first_quarter", profile[0] + profile[1] + profile[2] + profile[3]);
    }
  }
  profiles.add_to(r, "profile", o.layers(), {bins});
}

// ---- The pattern itself

// Numbers in all maps of one reading, 128 KB at most: eight heads in 64 x 64 cells, 144 heads in 15 x 15.
constexpr Index most_in_map = 32768;

// How many cells a side: no more than tokens, than 64, and than all heads together may have.
Index cells_of_map(Index tokens, Index maps) {
  Index cells = std::min<Index>(tokens, 64);
  while (cells > 1 && maps * cells * cells > most_in_map) --cells;
  return cells;
}

// The pattern of the first sequence, in cells of as many tokens each as can be (token t is in cell
// t * cells / T): what goes to all keys of a cell together, the mean over the queries of a cell. So rows
// still add up to 1, and where tokens are no more than cells it is the pattern itself.
void read_map(const Observation& o, Reading& r) {
  ByHead maps;
  Index cells = 0;
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor pattern = o.at(layer, "attn.pattern");
    if (pattern.size() == 0) continue;
    const Index heads = pattern.shape[1], tokens = pattern.shape[2];
    cells = cells_of_map(tokens, o.layers() * o.heads());
    const auto cell_of = [&](Index t) { return t * cells / tokens; };
    for (Index head = 0; head < heads; ++head) {
      std::vector<double> map(static_cast<std::size_t>(cells * cells));
      for (Index begin = 0, end = 0; begin < tokens; begin = end) {  // the queries of one cell
        while (end < tokens && cell_of(end) == cell_of(begin)) ++end;
        double* row = map.data() + cell_of(begin) * cells;
        for (Index n = begin; n < end; ++n) {
          const Real* pattern_row = pattern.data + (head * tokens + n) * tokens;
          for (Index t = 0; t <= n; ++t) row[cell_of(t)] += static_cast<double>(pattern_row[t]);
        }
        for (Index i = 0; i < cells; ++i) row[i] /= static_cast<double>(end - begin);
      }
      maps.rows.push_back({layer, head, {map.begin(), map.end()}});
    }
  }
  maps.add_to(r, "map", o.layers(), {cells, cells});
}

// ---- Logits

// The logits of one head, s_t = logit_scale <q_n, k_t>, capped where the layer does so, t <= n, from the
// points attn.q and attn.k, [B, T, C].
struct Logits {
  Tensor q, k;
  Index channel, dim;  // the head is channels [channel, channel + dim)
  double scale, cap;

  // A layer that shows one of the points and shares their weights has the other as well. q is empty if they
  // are not shown, or do not fit.
  Logits(const Observation& o, const QKProduct& product)
      : q(o.at(product.layer, "attn.q")),
        k(o.at(product.layer, "attn.k")),
        channel(product.head * product.rank()),
        dim(product.rank()),
        scale(product.logit_scale),
        cap(product.cap) {
    if (product.query.data == product.key.data) {
      if (!q) q = k;
      if (!k) k = q;
    }
    if (q.size() == 0 || k.shape != q.shape || channel + dim > q.shape.last()) q = {};
  }
  Index batch() const { return q.shape[0]; }
  Index tokens() const { return q.shape[1]; }

  // Row n of sequence b: n numbers.
  std::vector<double> row(Index b, Index n) const {
    const Index channels = q.shape.last(), begin = b * tokens() * channels + channel;
    const Real* query = q.data + begin + (n - 1) * channels;
    const Real* key = k.data + begin;
    std::vector<double> s(static_cast<std::size_t>(n));
    for (double& logit : s) {
      double dot = 0;
#pragma omp simd reduction(+ : dot)
      for (Index c = 0; c < dim; ++c) dot += static_cast<double>(query[c]) * static_cast<double>(key[c]);
      logit = scale * dot;
      if (std::isfinite(cap)) logit = cap * std::tanh(logit / cap);
      key += channels;
    }
    return s;
  }
};

double mean_of(const std::vector<double>& s) {
  return std::accumulate(s.begin(), s.end(), 0.0) / static_cast<double>(s.size());
}

// The largest |s_t| of all, and the root mean square of s_t - (mean of its row) over all rows.
void read_logits(const Observation& o, Reading& r) {
  for (const QKProduct& product : o.model.qk()) {
    const Logits logits(o, product);
    if (!logits.q) continue;
    double largest = 0, squares = 0, count = 0;
    for (Index b = 0; b < logits.batch(); ++b) {
      for (Index n = 1; n <= logits.tokens(); ++n) {
        const std::vector<double> s = logits.row(b, n);
        const double mean = mean_of(s);
        for (const double logit : s) {
          largest = larger(largest, std::fabs(logit));
          squares += (logit - mean) * (logit - mean);
        }
        count += static_cast<double>(n);
      }
    }
    r.add(product.layer, product.head, "largest", largest);
    r.add(product.layer, product.head, "deviation", std::sqrt(ratio(squares, count)));
  }
}

// The signal propagation probability of Bao, Hataya, Karakida (2024), measured, as we read it: with softmax
// replaced by the piecewise linear S_t = clip((1 + s_t - mean s) / n, 0, 1), the share of tokens that are
// active, 0 < S_t < 1: these are -1 < s_t - mean s < n - 1. The s_t are divided by lambda already. A row of
// one token has S = 1: not active.
void read_rho(const Observation& o, Reading& r) {
  ByHead profiles;
  for (const QKProduct& product : o.model.qk()) {
    const Logits logits(o, product);
    if (!logits.q) continue;
    std::vector<double> rho(bins);
    const Index first = first_late_row(logits.tokens());
    const auto rows = static_cast<double>(logits.batch() * (logits.tokens() - first + 1));
    for (Index b = 0; b < logits.batch(); ++b) {
      for (Index n = first; n <= logits.tokens(); ++n) {
        std::vector<double> s = logits.row(b, n);
        const double mean = mean_of(s), length = static_cast<double>(n);
        for (double& x : s) {  // from logits to 1 or 0; a bin is n / 16 tokens wide
          x -= mean;
          const bool active = -1 < x && x < length - 1;
          x = std::isfinite(x) ? (active ? bins / length / rows : 0) : undefined;
        }
        spread(s.data(), n, rho.data());
      }
    }
    profiles.rows.push_back({product.layer, product.head, {rho.begin(), rho.end()}});
    r.add(product.layer, product.head, "mean", mean_of(rho));
  }
  profiles.add_to(r, "rho", o.layers(), {bins});
}

// ---- Registration

const RegisteredProbe entropy_probe("attn.entropy", "[layer, head]",
                                    "entropy of rows: nats, normalised (by log length), last_row (nats), "
                                    "zhai_bound (its least, without biases)",
                                    read_entropy);
const RegisteredProbe profile_probe(
    "attn.profile", "[layer, head], profile [layer, head, 16]",
    "attention by relative position, 0 the first token and 1 the query: profile, first_quarter, last_quarter",
    read_profile);
const RegisteredProbe map_probe("attn.map", "[layer, head], map [layer, head, 64, 64]",
                                "the pattern of the first sequence, in at most 64 x 64 cells: map", read_map);
const RegisteredProbe logits_probe(
    "attn.logits", "[layer, head]",
    "logits before softmax: largest (absolute), deviation (from the row's mean)", read_logits);
const RegisteredProbe rho_probe(
    "attn.rho", "[layer, head], rho [layer, head, 16]",
    "signal propagation probability on live logits: mean, rho by relative position", read_rho);

}  // namespace
}  // namespace ef
