// The query-key product of one head: W = W_Q W_K^T, of which everything about its spectrum is known from the
// k x k core.
//
// W_Q and W_K are d x k (d channels, k = head_dim), so W is d x d but has rank k at most: its non-zero
// eigenvalues are those of the core M = W_K^T W_Q. W itself is formed nowhere. Where k < d, statistics are
// over the k eigenvalues of the core, and leave out d - k zeros.
#pragma once
#include <complex>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace ef {

struct Spectrum {
  std::vector<std::complex<Real>> eigenvalues;  // of the core, k of them
  std::vector<Real> singular_values;            // of W, the k largest, descending
  double trace = 0;                             // tr W = sum of the eigenvalues
  double trace_square = 0;                      // tr W^2 = sum of their squares; may be negative
  double frobenius_square = 0;                  // ||W||_F^2 >= sum of |eigenvalue|^2, equal for normal W
  double mean = 0;                              // tr W / k
  double variance = 0;                          // mean of |eigenvalue - mean|^2
  double radius = 0;                            // largest |eigenvalue|
};

struct QKProduct {
  Index layer = 0, head = 0;
  // The head's rows of the query's and the key's weight, [k, d]: W_Q^T and W_K^T, with the gradients of the
  // parameters that they are part of.
  Tensor query, key;
  double factor = 1;       // what the layer multiplies the product with, apart from logit_scale
  double logit_scale = 1;  // 1 / lambda: logits are logit_scale * factor * x W x^T
  std::string left_out;    // what else shapes the logits and is not in W: "biases, norm gains"

  Index rank() const { return query.shape[0]; }   // k
  Index width() const { return query.shape[1]; }  // d

  // All of these are of factor * W.
  std::vector<Real> core() const;  // M, row-major k x k
  double trace() const;
  double trace_square() const;
  double frobenius_square() const;
  std::vector<Real> singular_values() const;  // of W, the k largest, descending; O(d k^2)
  Spectrum spectrum() const;  // all of them; O(k^3) more. NumericalError as in engine/lapack.h
};

}  // namespace ef
