// Attention on random walks of tokens, simulated: what the theory (models/theory/localisation.h) says, and
// what real softmax does on the same tokens.
//
// Tokens and logits are Real, all sums over draws double: float32 keeps seven digits of a logit, and what is
// measured here has three. Draws are numbered and independent; they are taken in chunks of a fixed size, and
// added up in the order of the chunks, so all numbers are the same for any number of workers.
#pragma once
#include <array>
#include <functional>
#include <vector>

#include "engine/workers.h"
#include "models/theory/localisation.h"

namespace ef {

struct RandomWalk {
  Index tokens = 64, channels = 64;
  bool normalised = false;  // x_t / sqrt(t): of length sqrt(d) on the mean, as a LayerNorm would leave it
  Index draws = 1000;       // at least 2
  std::uint64_t seed = 1;
};

// A mean over draws and its standard error.
struct Estimate {
  double mean = 0, standard_error = 0;
};

// One head: W / lambda, [d, d].
std::vector<Real> logit_matrix(const QKMatrix& w, double lambda);

// Called on the calling thread, now and then, with how many draws are done.
using DrawsDone = std::function<void(Index draws)>;

// X [T, C] of one draw. A function of seed, draw and position alone.
void draw_tokens(const RandomWalk& walk, Index draw, Real* x);

// ---- The last row

struct LastRow {
  std::vector<Estimate> rho;  // [T]: share of draws with 0 < S_t < 1. Its error is that of (n + 1/2)/(N + 1)
                              // draws: never 0, as no share is known for sure
  std::vector<double> attention;  // [T]: mean row of softmax
  Estimate entropy;               // of a row of softmax, divided by log T
};

// For each head the last row, under the surrogate and under softmax; all heads see the same tokens.
// Error unless tokens >= 2, channels >= 1, draws >= 2, and the matrices fit.
std::vector<LastRow> simulate_last_row(const RandomWalk& walk, const std::vector<std::vector<Real>>& heads,
                                       Workers& workers, const DrawsDone& done = {});

// Which regime the softmax is in, by the measured counterparts of rho_regime(): the mean row in 16 bins; and
// where no half is preferred it is washed out if a row's entropy is below 1/2 on the mean, so that rows dwell
// on less than sqrt(T) tokens, though never on the same ones.
inline constexpr double least_entropy_of_rows = 0.5;
Regime softmax_regime(const LastRow& row);

// ---- The whole pattern

// Causal softmax attention A over X, and its output A X.
struct SoftmaxStatistics {
  Estimate row_entropy;              // mean over rows 2 to T of entropy / log length
  Estimate profile_entropy;          // of the mean last row, / log T; the error by linearisation, and the
                                     // bias of a mean over N draws taken off to first order
  std::array<Estimate, 4> quarters;  // of the last row's mass, first to last; token t is in quarter
                                     // floor(4 (t - 1) / T)
  Estimate residual;                 // ||Y - mean of rows|| / ||Y||, Y = A X: 0 where all tokens are alike
  Estimate cosine;                   // mean cosine of two different rows of Y
  std::vector<Estimate> profile;     // [T]: the mean last row
};
std::vector<SoftmaxStatistics> simulate_softmax(const RandomWalk& walk,
                                                const std::vector<std::vector<Real>>& heads, Workers& workers,
                                                const DrawsDone& done = {});

}  // namespace ef
