// Probes of the tokens in the residual stream: how alike they have become.
//
// Each reads what leaves the blocks, X of T tokens (rows) and C channels, one sequence at a time, and gives
// the mean over the sequences.
#include <array>

#include "models/probes/shared.h"

namespace ef {
namespace {

using namespace probes;

template <std::size_t Keys>
using Measure = std::array<double, Keys> (*)(std::span<const Real> x, Index tokens, Index channels);

template <std::size_t Keys>
void read_blocks(const TextObservation& o, Reading& r, const std::array<const char*, Keys>& keys,
                 Measure<Keys> measure) {
  for (Index layer = 0; layer < o.layers(); ++layer) {
    const Tensor x = o.at(layer, "resid_post");
    if (x.size() == 0) continue;
    const std::array<double, Keys> values = measure(numbers(x), x.shape[0], x.shape[1]);
    for (std::size_t i = 0; i < Keys; ++i) r.add(layer, -1, keys[i], values[i]);
  }
}

// ||X - 1 m^T|| in the Frobenius norm, and as sqrt(||.||_1 ||.||_inf): the largest column sum and the largest
// row sum of absolute values.
std::array<double, 2> norms(std::span<const Real> x, const std::vector<double>& m) {
  std::vector<double> columns(m.size());
  double squares = 0, largest_row = 0, largest_column = 0;
  for (std::size_t at = 0; at < x.size(); at += m.size()) {
    double row = 0;
    for (std::size_t c = 0; c < m.size(); ++c) {
      const double entry = std::fabs(static_cast<double>(x[at + c]) - m[c]);
      row += entry;
      columns[c] += entry;
      squares += entry * entry;
    }
    largest_row = larger(largest_row, row);
  }
  for (const double column : columns) largest_column = larger(largest_column, column);
  return {std::sqrt(squares), std::sqrt(largest_row * largest_column)};
}

// Rank collapse (Dong, Cordonnier, Loukas 2021): ||X - 1 x^T|| / ||X||, 0 where all tokens are equal, NaN for
// X = 0. Theirs is the least over all x; ours takes the mean token, which is the best x for the Frobenius
// norm but not for theirs, so that `dong` is an upper bound of their residual.
std::array<double, 2> residual(std::span<const Real> x, Index tokens, Index channels) {
  const auto width = static_cast<std::size_t>(channels);
  std::vector<double> mean(width);
  for (std::size_t i = 0; i < x.size(); ++i) mean[i % width] += static_cast<double>(x[i]);
  for (double& channel : mean) channel /= static_cast<double>(tokens);
  const auto rest = norms(x, mean), all = norms(x, std::vector<double>(width));
  return {ratio(rest[0], all[0]), ratio(rest[1], all[1])};
}

// The mean cosine of two different tokens (Noci et al. 2022). With unit vectors u_t = x_t / ||x_t||,
//   sum over t != s of <u_t, u_s> = ||sum_t u_t||^2 - T.
// A token of length 0 has no direction and is left out; NaN where no two tokens remain.
std::array<double, 1> cosine(std::span<const Real> x, Index, Index channels) {
  const auto width = static_cast<std::size_t>(channels);
  std::vector<double> sum(width);
  double count = 0;
  for (std::size_t at = 0; at < x.size(); at += width) {
    const std::span<const Real> token = x.subspan(at, width);
    double square = 0;
    for (const Real v : token) square += static_cast<double>(v) * static_cast<double>(v);
    if (square == 0) continue;
    for (std::size_t c = 0; c < width; ++c) sum[c] += static_cast<double>(token[c]) / std::sqrt(square);
    ++count;
  }
  double square = 0;
  for (const double v : sum) square += v * v;
  return {ratio(square - count, count * (count - 1))};
}

// Of the singular values sigma of X: the effective rank, exp(-sum p log p) with p = sigma / sum sigma (Roy
// and Vetterli 2007), and the stable rank, ||X||_F^2 / ||X||_2^2. Both are 1 where all tokens are equal (but
// for rounding), at most min(T, C), and NaN for X = 0. They count the direction of the mean token.
std::array<double, 2> ranks(std::span<const Real> x, Index tokens, Index channels) {
  const std::vector<Real> sigma = singular_values(x, tokens, channels);
  if (sigma.empty()) return {undefined, undefined};
  double sum = 0, squares = 0, entropy = 0;
  for (const Real s : sigma) {
    sum += static_cast<double>(s);
    squares += static_cast<double>(s) * static_cast<double>(s);
  }
  for (const Real s : sigma) {
    const double p = ratio(static_cast<double>(s), sum);
    if (p != 0) entropy -= p * std::log(p);
  }
  return {std::exp(entropy), ratio(squares, std::pow(static_cast<double>(sigma[0]), 2))};
}

void read_residual(const TextObservation& o, Reading& r) {
  read_blocks<2>(o, r, {"frobenius", "dong"}, residual);
}
void read_cosine(const TextObservation& o, Reading& r) { read_blocks<1>(o, r, {"mean"}, cosine); }
void read_ranks(const TextObservation& o, Reading& r) {
  read_blocks<2>(o, r, {"effective", "stable"}, ranks);
}

const RegisteredProbe residual_probe(
    "resid.rank", "[layer]", "how far tokens are from their mean, relative", read_residual,
    {{.key = "frobenius",
      .title = "Rank residual",
      .unit = "residual",
      .meaning = "0: all tokens are alike",
      .row = "rank residual",
      .live = "rank",
      .order = 30,
      .high = 1,
      .alarm = {{.name = "rank collapse",
                 .on = 0.1,
                 .off = 0.15,
                 .why = "tokens share 99 % of their squared norm (Dong et al. 2021; the number is ours)"}}},
     {.key = "dong",
      .title = "Rank residual in Dong et al.'s norm",
      .unit = "residual",
      .meaning = "0: all tokens are alike",
      .detail = true}});
const RegisteredProbe cosine_probe("resid.cosine", "[layer]", "mean cosine of two tokens", read_cosine,
                                   {{.key = "mean",
                                     .title = "Cosine of two tokens",
                                     .unit = "cosine",
                                     .meaning = "1: all in one direction",
                                     .row = "token cosine",
                                     .order = 31,
                                     .scale = Quantity::Scale::linear,
                                     .high = 1}});
const RegisteredProbe ranks_probe("resid.effective_rank", "[layer]", "how many directions the tokens use",
                                  read_ranks,
                                  {{.key = "effective",
                                    .title = "Effective rank of the tokens",
                                    .unit = "directions",
                                    .meaning = "by the entropy of the singular values",
                                    .order = 32},
                                   {.key = "stable",
                                    .title = "Stable rank of the tokens",
                                    .unit = "directions",
                                    .meaning = "by the squares of the singular values over the largest",
                                    .detail = true}});

}  // namespace
}  // namespace ef
