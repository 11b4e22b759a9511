// What several probes share. Private to models/probes/*.cpp.
//
// No probe stops a run: what is undefined (0 / 0, a mean over nothing, whatever depends on a NaN) reads NaN.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/lapack.h"
#include "models/probes/probes.h"

namespace ef::probes {

inline constexpr double undefined = std::numeric_limits<double>::quiet_NaN();

// a / b; NaN where b is 0.
inline double ratio(double a, double b) { return b == 0 ? undefined : a / b; }

// The larger one; NaN if one is.
inline double larger(double a, double b) { return a >= b || std::isnan(a) ? a : b; }

inline std::span<const Real> numbers(const Tensor& x) { return {x.data, static_cast<std::size_t>(x.size())}; }

// Says of layers without a query-key product that they have none.
inline void leave_out_without_product(Index layers, const std::vector<QKProduct>& products, Reading& r) {
  for (Index layer = 0; layer < layers; ++layer) {
    if (std::ranges::count(products, layer, &QKProduct::layer) == 0)
      r.missing.insert("layer " + std::to_string(layer) + " has no query-key product");
  }
}

// A layer's pattern, [H, T, T]. Where rows do not sum to one, as after a sigmoid, they are divided by their
// sums, and that is told: so an entropy is one of shares, and a share one of what is given. Empty if it shows
// none.
struct PatternOfShares {
  std::vector<Real> own;
  Tensor pattern;

  PatternOfShares(const TextObservation& o, Index layer, Reading& r) : pattern(o.at(layer, "attn.pattern")) {
    if (pattern.size() == 0) return;
    const Index tokens = pattern.shape[2], rows = pattern.size() / tokens;
    for (Index row = 0; row < rows; ++row) {
      const Real* at = pattern.data + row * tokens;
      const double sum = std::accumulate(at, at + tokens, 0.0);
      if (!(std::fabs(sum - 1) > 1e-3) || sum == 0) continue;  // NaN stays as it is
      if (own.empty()) own.assign(pattern.data, pattern.data + pattern.size());
      for (Index t = 0; t < tokens; ++t) own[row * tokens + t] = Real(static_cast<double>(at[t]) / sum);
    }
    if (own.empty()) return;
    pattern.data = own.data();
    r.missing.insert(std::string("layer ")
                         .append(std::to_string(layer))
                         .append(": rows of attention do not sum to one, and are divided by their sums"));
  }
  PatternOfShares(const PatternOfShares&) = delete;
  PatternOfShares& operator=(const PatternOfShares&) = delete;
};

// Collects a row of numbers for each head, and makes an array [layer, head, ...] of them: NaN where there is
// no number.
struct ByHead {
  struct Row {
    Index layer, head;
    std::vector<float> values;
  };
  std::vector<Row> rows;

  // shape: of each row. Adds nothing where there are no rows.
  void add_to(Reading& r, const std::string& key, Index layers, const std::vector<Index>& shape) const {
    if (rows.empty()) return;
    Index heads = 0, size = 1;
    for (const Row& row : rows) heads = std::max(heads, row.head + 1);
    for (const Index dim : shape) size *= dim;
    std::vector<float> all(layers * heads * size, static_cast<float>(undefined));
    for (const Row& row : rows) {
      std::copy(row.values.begin(), row.values.end(), all.begin() + (row.layer * heads + row.head) * size);
    }
    std::vector<Index> sizes{layers, heads};
    sizes.insert(sizes.end(), shape.begin(), shape.end());
    r.add_array(key, sizes, all);
  }
};

// Singular values of a matrix, descending; none where it is empty or LAPACK refuses it.
inline std::vector<Real> singular_values(std::span<const Real> x, Index rows, Index columns) {
  try {
    return lapack::singular_values(x, rows, columns);
  } catch (const NumericalError&) {
    return {};
  }
}

}  // namespace ef::probes
