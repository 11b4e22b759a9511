// What the program localize does: simulations beside the theory, as one JSON object.
#pragma once
#include <string>

#include "engine/workers.h"
#include "models/theory/random_walk.h"

namespace ef {

// One query-key matrix, and what it reads.
struct LocalizeCase {
  std::string matrix = "symmetric";  // see matrix_kinds()
  Index channels = 64;               // d
  Index head_dim = 0;                // k; 0: as channels
  double trace = 64;
  double trace_square = 64;
  double frobenius_square = 0;        // 0: as trace_square
  double lambda = 0;                  // 0: sqrt(head_dim)
  std::string tokens_model = "walk";  // or "normalised"
  Index tokens = 64;                  // T
};

struct LocalizeOptions {
  Index draws = 4000;
  std::uint64_t seed = 1;
};

// The content of localize.json:
//   version, seed
//   theory    for each case the last row under the surrogate, by site: formula, limit (both empty for tokens
//             that are normalised: the theory does not speak of them), measured, standard_error; its regimes
//   softmax   for each case the statistics of the whole pattern: mean, standard_error
//   diagrams  regimes over a grid of (trace, trace_square) by theory, surrogate and softmax, what they were
//             read from, and the boundaries (only of all)
//   reference, beside a measured number: the same, noted before, to three digits (rho: two). That of softmax
//             is what 4,000 draws of seed 1 gave (reference_draws): it shows whether the program still gives
//             it, and what another seed changes. That of rho is of a separate simulation, made before this
//             program; its number of draws was not kept
// Error where a case is impossible.
std::string localize_case(const LocalizeCase& one, const LocalizeOptions& options, Workers& workers);
// Both tables with references, phase diagrams, non-symmetric and low-rank matrices.
std::string localize_all(const LocalizeOptions& options, Workers& workers);

}  // namespace ef
