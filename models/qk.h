// The query-key product of one head: W = W_Q W_K^T, of which everything about its spectrum is known from the
// k x k core.
//
// W_Q and W_K are d x k (d channels, k = head_dim), so W is d x d but has rank k at most: its non-zero
// eigenvalues are those of the core M = W_K^T W_Q. W itself is formed nowhere. Where k < d, statistics are
// over the k eigenvalues of the core, and leave out d - k zeros.
#pragma once
#include <complex>
#include <memory>
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
  // How the layer's logits come from q and k. A layer whose logits are no such product says so by having no
  // QKProduct at all.
  //   product     <q, k>: W is W_Q W_K^T wherever the two tokens stand
  //   normalised  <q, k> of vectors that were normalised first: W is that of the raw weights
  bool normalised = false;
  //   by offset   <R(n) q, R(t) k>, turned in planes of channels i and i + k/2 by these many radians a token
  //               (models/attention/rotary.cpp): W is that of the offset n - t = 0, see at_offset(). Empty:
  //               it is not turned
  std::vector<double> frequencies = {};
  std::string left_out;  // what else shapes the logits and is not in W: "biases, norm gains"

  // The product by which a query sees the key so many tokens before it: W_Q R(-offset) W_K^T. Where nothing
  // is turned that is the product itself. It has memory of its own, and no gradient.
  QKProduct at_offset(Index offset) const;
  // What W is, and what it leaves out: "W_Q W_K^T of offset 0 (queries and keys are turned by position); not
  // in it: the norm's gain before".
  std::string describe() const;

  Index rank() const { return query.shape[0]; }   // k
  Index width() const { return query.shape[1]; }  // d

  // All of these are of factor * W.
  std::vector<Real> core() const;  // M, row-major k x k
  double trace() const;
  double trace_square() const;
  double frobenius_square() const;
  std::vector<Real> singular_values() const;  // of W, the k largest, descending; O(d k^2)
  Spectrum spectrum() const;  // all of them; O(k^3) more. NumericalError as in engine/lapack.h

 private:
  std::shared_ptr<std::vector<Real>> turned_;  // the query's rows at an offset
};

}  // namespace ef
