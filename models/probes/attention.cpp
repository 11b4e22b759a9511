// Probes of attention: where its rows put their mass, and the logits that they come from.
//
// Row n of a causal pattern sees n tokens. A layer whose attention does not show the points that a probe
// reads is left out of its scalars, and is NaN in its arrays.
#include <algorithm>
#include <numeric>

#include "models/probes/shared.h"

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

// Entropy of rows 2 to T, as it is and divided by log n: row 1 has no choice (T = 1: NaN). And of the last
// row.
void read_entropy(const TextObservation& o, Reading& r) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const PatternOfShares shares(o, layer, r);
    const Tensor& pattern = shares.pattern;
    if (pattern.size() == 0) continue;
    const Index heads = pattern.shape[0], tokens = pattern.shape[1];
    for (Index head = 0; head < heads; ++head) {
      const Real* rows = pattern.data + head * tokens * tokens;
      double nats = 0, normalised = 0, last = 0;
      for (Index n = 2; n <= tokens; ++n) {
        last = entropy(rows + (n - 1) * tokens, n);
        nats += last;
        normalised += last / std::log(static_cast<double>(n));
      }
      const double count = static_cast<double>(tokens - 1);
      r.add(layer, head, "nats", ratio(nats, count));
      r.add(layer, head, "normalised", ratio(normalised, count));
      r.add(layer, head, "last_row", last);
    }
  }
}

// The least entropy that a row of T logits of Euclidean norm s can have (Zhai et al. 2023, theorem 3.1):
//   log(1 + (T - 1) e) + s sqrt(T (T - 1)) e / (1 + (T - 1) e),   e = exp(-s sqrt(T / (T - 1))).
// A row of one token has entropy 0.
double least_entropy(double s, Index tokens) {
  if (tokens == 1) return 0;
  const double n = static_cast<double>(tokens), e = std::exp(-s * std::sqrt(n / (n - 1)));
  return std::log(1 + (n - 1) * e) + s * std::sqrt(n * (n - 1)) * e / (1 + (n - 1) * e);
}

// sigma_max(X)^2 = ||X X^T||_2
double gram_norm(const Tensor& x) {
  const std::vector<Real> sigma = singular_values(numbers(x), x.shape[0], x.shape[1]);
  return sigma.empty() ? undefined : std::pow(static_cast<double>(sigma[0]), 2);
}

// ||factor W_Q W_K^T||_2
double spectral_norm(const QKProduct& product) {
  try {
    return static_cast<double>(product.singular_values().at(0));
  } catch (const NumericalError&) {
    return undefined;
  }
}

// Zhai et al.'s bound from below of the last row's entropy, with
//   s = |logit_scale| ||factor W_Q W_K^T||_2 ||X X^T||_2.
// X is what the attention reads, so gains of a norm before it are in X. The bound knows nothing of biases of
// q and k, rotary positions, norms of q and k: where a layer has these, its entropy may lie below. It takes a
// singular value decomposition of X for each window and layer, and in trained models it is 0 as a rule.
void read_zhai_bound(const TextObservation& o, Reading& r) {
  const std::vector<QKProduct> products = o.model.qk();
  leave_out_without_product(o.layers(), products, r);
  for (const QKProduct& product : products) {
    const Tensor x = o.at(product.layer, "attn_in");
    if (x.size() == 0) continue;
    const double s = std::fabs(product.logit_scale) * spectral_norm(product) * gram_norm(x);
    r.add(product.layer, product.head, "nats", least_entropy(s, x.shape[0]));
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
void read_profile(const TextObservation& o, Reading& r) {
  ByHead profiles;
  std::vector<double> row;
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const PatternOfShares shares(o, layer, r);
    const Tensor& pattern = shares.pattern;
    if (pattern.size() == 0) continue;
    const Index heads = pattern.shape[0], tokens = pattern.shape[1];
    const Index first = first_late_row(tokens);
    for (Index head = 0; head < heads; ++head) {
      std::vector<double> profile(bins);
      for (Index n = first; n <= tokens; ++n) {
        const Real* a = pattern.data + (head * tokens + n - 1) * tokens;
        row.assign(a, a + n);
        spread(row.data(), n, profile.data());
      }
      for (double& mass : profile) mass /= static_cast<double>(tokens - first + 1);
      profiles.rows.push_back({layer, head, {profile.begin(), profile.end()}});
      r.add(layer, head, "last_quarter", profile[12] + profile[13] + profile[14] + profile[15]);
      r.add(layer, head, "first_quarter", profile[0] + profile[1] + profile[2] + profile[3]);
    }
  }
  profiles.add_to(r, "profile", o.layers(), {bins});
}

// Calls what(layer, head, 16 numbers) for each head of an array [layer, head, 16]; arrays may come from a
// file.
template <class What>
void each_profile(const std::vector<Reading::Array>& arrays, const std::string& key, What what) {
  for (const Reading::Array& array : arrays) {
    if (array.key != key || array.shape.size() != 3 || array.shape[2] != bins) continue;
    for (Index layer = 0; layer < array.shape[0]; ++layer) {
      for (Index head = 0; head < array.shape[1]; ++head) {
        const float* values = array.values.data() + (layer * array.shape[1] + head) * bins;
        what(layer, head, std::vector<double>(values, values + bins));
      }
    }
  }
}

// The entropy of the mean profile over all windows, divided by log 16: 1 where all sites get as much, 0 where
// one bin of sites gets all. Rows may be sharp, each at another site, and the profile flat: so this, and not
// the entropy of rows, says whether attention is localised on few sites.
void derive_profile_entropy(const std::vector<Reading::Array>& means, Reading& r) {
  each_profile(means, "profile", [&](Index layer, Index head, const std::vector<double>& profile) {
    double sum = 0;
    for (const double p : profile)
      if (p != 0) sum -= p * std::log(p);
    r.add(layer, head, "entropy", sum / std::log(static_cast<double>(bins)));
  });
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

// The pattern of the first window, all of its text, in cells of as many tokens each as can be (token t is in
// cell t * cells / T): what goes to all keys of a cell together, the mean over the queries of a cell. So rows
// still add up to 1, and where tokens are no more than cells it is the pattern itself.
void read_map(const TextObservation& o, Reading& r) {
  if (!o.first) return;
  ByHead maps;
  Index cells = 0;
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor pattern = o.at(layer, "attn.pattern");
    if (pattern.size() == 0) continue;
    const Index heads = pattern.shape[0], tokens = pattern.shape[1];
    cells = cells_of_map(tokens, o.layers() * o.heads());
    const auto cell_of = [&](Index t) { return t * cells / tokens; };
    for (Index head = 0; head < heads; ++head) {
      std::vector<double> map(cells * cells);
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

// ---- Logits, as the layer itself formed them: what enters its softmax, capped, scaled, biased or not

double mean_of(const Real* s, Index n) { return std::accumulate(s, s + n, 0.0) / static_cast<double>(n); }

// Calls visit(layer, head, rows of logits) for each head that shows its logits: row n has n numbers, T apart.
template <class Visit>
void each_head_of_logits(const TextObservation& o, Visit visit) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor logits = o.at(layer, "attn.logits");
    if (logits.size() == 0) continue;
    const Index heads = logits.shape[0], tokens = logits.shape[1];
    for (Index head = 0; head < heads; ++head)
      visit(layer, head, logits.data + head * tokens * tokens, tokens);
  }
}

// The largest |s_t| of all; the largest |s_t - (mean of its row)|, which is all that softmax sees of a logit;
// and the root mean square of the latter over all rows.
void read_logits(const TextObservation& o, Reading& r) {
  each_head_of_logits(o, [&](Index layer, Index head, const Real* rows, Index tokens) {
    double largest = 0, centred = 0, squares = 0, count = 0;
    for (Index n = 1; n <= tokens; ++n) {
      const Real* s = rows + (n - 1) * tokens;
      const double mean = mean_of(s, n);
      for (Index t = 0; t < n; ++t) {
        const double logit = static_cast<double>(s[t]), off = logit - mean;
        largest = larger(largest, std::fabs(logit));
        centred = larger(centred, std::fabs(off));
        squares += off * off;
      }
      count += static_cast<double>(n);
    }
    r.add(layer, head, "largest", largest);
    r.add(layer, head, "largest_centred", centred);
    r.add(layer, head, "deviation", std::sqrt(ratio(squares, count)));
  });
}

// The signal propagation probability of Bao, Hataya, Karakida (2024), measured, as we read it: with softmax
// replaced by the piecewise linear S_t = clip((1 + s_t - mean s) / n, 0, 1), the share of tokens that are
// active, 0 < S_t < 1: these are -1 < s_t - mean s < n - 1. The s_t are divided by lambda already. A row of
// one token has S = 1: not active.
void read_rho(const TextObservation& o, Reading& r) {
  ByHead profiles;
  each_head_of_logits(o, [&](Index layer, Index head, const Real* rows, Index tokens) {
    std::vector<double> rho(bins), active;
    const Index first = first_late_row(tokens);
    const auto count = static_cast<double>(tokens - first + 1);
    for (Index n = first; n <= tokens; ++n) {
      const Real* s = rows + (n - 1) * tokens;
      const double mean = mean_of(s, n), length = static_cast<double>(n);
      active.assign(n, 0);
      for (Index t = 0; t < n; ++t) {  // a bin is n / 16 tokens wide
        const double x = static_cast<double>(s[t]) - mean;
        active[t] = std::isfinite(x) ? (-1 < x && x < length - 1 ? bins / length / count : 0) : undefined;
      }
      spread(active.data(), n, rho.data());
    }
    profiles.rows.push_back({layer, head, {rho.begin(), rho.end()}});
    r.add(layer, head, "mean", std::accumulate(rho.begin(), rho.end(), 0.0) / bins);
  });
  profiles.add_to(r, "rho", o.layers(), {bins});
}

// The later half's share of rho over all windows: 1/2 where early and late sites propagate as much, 1 where
// late ones alone do. NaN where none does.
void derive_later_half(const std::vector<Reading::Array>& means, Reading& r) {
  each_profile(means, "rho", [&](Index layer, Index head, const std::vector<double>& rho) {
    const double early = std::accumulate(rho.begin(), rho.begin() + bins / 2, 0.0);
    const double late = std::accumulate(rho.begin() + bins / 2, rho.end(), 0.0);
    r.add(layer, head, "later_half", ratio(late, early + late));
  });
}

// ---- Registration

const std::string where = "Position 0 is the first token, 1 the query; rows of the last quarter.";

const RegisteredProbe entropy_probe(
    "attn.entropy", "[layer, head]", "entropy of the rows of attention", read_entropy,
    {{.key = "nats", .title = "Attention entropy in nats", .unit = "nats", .detail = true},
     {.key = "normalised",
      .title = "Attention entropy",
      .unit = "entropy",
      .meaning = "1 is uniform, 0 one-hot",
      .row = "attention entropy, normalised",
      .live = "entropy",
      .order = 10,
      .high = 1,
      .alarm = {{.name = "entropy collapse",
                 .on = 0.05,
                 .off = 0.1,
                 .why =
                     "attention is one-hot but for 5 % of the entropy it could have (Zhai et al. 2023; the "
                     "number is ours)"}}},
     {.key = "last_row", .title = "Entropy of the last row", .unit = "nats", .detail = true}});
const RegisteredProbe bound_probe(
    "attn.zhai_bound", "[layer, head]", "Zhai et al.'s bound of the last row's entropy, without biases",
    read_zhai_bound,
    {{.key = "nats", .title = "Least entropy that the last row can have", .unit = "nats", .detail = true}});
const RegisteredProbe profile_probe("attn.profile", "[layer, head], profile [layer, head, 16]",
                                    "attention by relative position, 0 the first token and 1 the query",
                                    read_profile,
                                    {{.key = "last_quarter",
                                      .title = "Attention to the last quarter",
                                      .unit = "share",
                                      .detail = true,
                                      .high = 1},
                                     {.key = "first_quarter",
                                      .title = "Attention to the first quarter",
                                      .unit = "share",
                                      .detail = true,
                                      .high = 1},
                                     {.key = "entropy",
                                      .title = "Entropy of the site profile",
                                      .unit = "entropy",
                                      .meaning = "1: all sites alike",
                                      .detail = true,
                                      .high = 1}},
                                    {{.key = "profile",
                                      .title = "Where attention goes",
                                      .unit = "share of attention",
                                      .axis = "position",
                                      .low = 0,
                                      .high = 0.25,
                                      .note = "Shares add up to 1: an even row has 0.0625 everywhere. " +
                                              where,
                                      .order = 20}},
                                    derive_profile_entropy);
const RegisteredProbe map_probe(
    "attn.map", "[layer, head], map [layer, head, 64, 64]",
    "the pattern of the first window, in at most 64 x 64 cells: map", read_map, {},
    {{.key = "map",
      .kind = Picture::Kind::pattern,
      .title = "Attention maps",
      .note = "A cell is the attention to all its keys, the mean over its queries.",
      .order = 40}});
const RegisteredProbe logits_probe(
    "attn.logits", "[layer, head]", "logits before softmax", read_logits,
    {{.key = "largest",
      .title = "Largest logit",
      .unit = "logit",
      .detail = true,
      .joined = Quantity::Joined::largest},
     {.key = "largest_centred",
      .title = "Largest logit, centred by row",
      .unit = "logit",
      .order = 15,
      .joined = Quantity::Joined::largest,
      .alarm = {{.name = "runaway spectrum",
                 .on = 87,
                 .off = 60,
                 .why = "softmax sees differences only: e^-87 of the row's mean is where float32 ends, and a "
                        "token there gets nothing at all, and no gradient"}}},
     {.key = "deviation",
      .title = "Deviation of logits from their row's mean",
      .unit = "logit",
      .detail = true}});
const RegisteredProbe rho_probe(
    "attn.rho", "[layer, head], rho [layer, head, 16]",
    "signal propagation probability on live logits, and by relative position", read_rho,
    {{.key = "mean", .title = "Signal propagation probability", .unit = "ρ", .detail = true, .high = 1},
     {.key = "later_half", .title = "Rho: the later half's share", .unit = "share", .order = 16, .high = 1}},
    {{.key = "rho",
      .title = "Signal propagation probability",
      .unit = "share of active tokens",
      .axis = "position",
      .low = 0,
      .high = 1,
      .note = "Measured on live logits. " + where,
      .order = 30}},
    derive_later_half);

}  // namespace
}  // namespace ef
