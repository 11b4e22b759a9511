// Probes of weights: the spectrum of the query-key product, and what the last update did to each tensor.
#include <algorithm>

#include "models/probes/shared.h"

namespace ef {
namespace {

using namespace probes;

// ---- The spectrum of W = factor W_Q W_K^T: see models/qk.h for each number, and QKProduct::left_out for
// what else shapes the logits.

Spectrum spectrum_of(const QKProduct& product) {
  try {
    return product.spectrum();
  } catch (const NumericalError&) {  // weights that are not finite, or no convergence
    Spectrum none;
    none.trace = none.trace_square = none.frobenius_square = none.mean = none.variance = none.radius =
        undefined;
    return none;
  }
}

// Spectral energy concentration (Qi et al. 2025): sum of the n largest sigma^2 / sum of all. n / k where all
// are alike, 1 where the rank is n; NaN for W = 0.
double energy_of_largest(const std::vector<Real>& sigma, std::size_t n) {
  if (sigma.empty()) return undefined;
  double largest = 0, all = 0;
  for (std::size_t i = 0; i < sigma.size(); ++i) {
    const double square = std::pow(static_cast<double>(sigma[i]), 2);
    all += square;
    if (i < n) largest += square;
  }
  return ratio(largest, all);
}

// localisation = tr W / sqrt(k ||W||_F^2), between -1 and 1, is a name of our own for the mean of the
// spectrum against its scale: 1 for a multiple of a projector of rank k, NaN for W = 0. symmetry =
// tr W^2 / ||W||_F^2 is (||S||^2 - ||A||^2) / (||S||^2 + ||A||^2) of the symmetric and antisymmetric parts:
// 1 for symmetric W, -1 for antisymmetric W, about 0 for random W.
void read_spectrum(const Observation& o, Reading& r) {
  const std::vector<QKProduct> products = o.model.qk();
  leave_out_without_product(o.layers(), products, r);
  Index rank = 0;
  for (const QKProduct& product : products) rank = std::max(rank, product.rank());
  ByHead eigenvalues;
  for (const QKProduct& product : products) {
    const Spectrum s = spectrum_of(product);
    const auto add = [&](const char* key, double value) { r.add(product.layer, product.head, key, value); };
    add("trace", s.trace);
    add("trace_square", s.trace_square);
    add("frobenius_square", s.frobenius_square);
    add("mean", s.mean);
    add("variance", s.variance);
    add("radius", s.radius);
    add("largest_singular",
        s.singular_values.empty() ? undefined : static_cast<double>(s.singular_values.front()));
    const double k = static_cast<double>(product.rank());
    add("localisation", ratio(s.trace, std::sqrt(k * s.frobenius_square)));
    add("symmetry", ratio(s.trace_square, s.frobenius_square));
    add("energy_1", energy_of_largest(s.singular_values, 1));
    add("energy_4", energy_of_largest(s.singular_values, 4));
    std::vector<float> values;
    for (const std::complex<Real>& value : s.eigenvalues) {
      values.push_back(static_cast<float>(value.real()));
      values.push_back(static_cast<float>(value.imag()));
    }
    eigenvalues.rows.push_back({product.layer, product.head, values});
  }
  eigenvalues.add_to(r, "eigenvalues", o.layers(), {rank, 2});
}

// ---- The same by offset, where queries and keys are turned by position (QKProduct::at_offset)

constexpr Index farthest = 2048;

// Of offsets 0, 1, 2, 4, ... below the context.
void read_offsets(const Observation& o, Reading& r) {
  const std::vector<QKProduct> products = o.model.qk();
  leave_out_without_product(o.layers(), products, r);
  for (const QKProduct& product : products) {
    if (product.frequencies.empty()) {
      r.missing.insert(std::string("layer ")
                           .append(std::to_string(product.layer))
                           .append(": W is the same at every offset"));
      continue;
    }
    for (Index offset = 0; offset < o.model.config.context && offset <= farthest;
         offset = offset == 0 ? 1 : 2 * offset) {
      const QKProduct at = product.at_offset(offset);
      const std::string which = std::string("_").append(std::to_string(offset));
      const double trace = at.trace(), k = static_cast<double>(at.rank());
      r.add(product.layer, product.head, "trace" + which, trace);
      r.add(product.layer, product.head, "localisation" + which,
            ratio(trace, std::sqrt(k * at.frobenius_square())));
    }
  }
}

std::vector<Quantity> offset_quantities() {
  std::vector<Quantity> all;
  for (const bool of_trace : {true, false}) {
    for (Index offset = 0; offset <= farthest; offset = offset == 0 ? 1 : 2 * offset) {
      const std::string at = std::to_string(offset);
      all.push_back(
          {.key = (of_trace ? "trace_" : "localisation_") + at,
           .title = (of_trace ? "Trace of W at offset " : "Localisation of the spectrum at offset ") + at,
           .unit = of_trace ? "tr W" : "tr W / √(k ‖W‖_F²)",
           .detail = true,
           .scale = Quantity::Scale::linear});
    }
  }
  return all;
}

const RegisteredProbe offsets_probe("qk.offsets", "[layer, head]",
                                    "W at offsets 0, 1, 2, 4, ... of query and key, of rotary attention",
                                    read_offsets, offset_quantities());

// ---- The last update

// ||a - b||, or ||a|| where there is no b.
double distance(const Real* a, const Real* b, Index size) {
  double square = 0;
  for (Index i = 0; i < size; ++i) {
    const double difference = static_cast<double>(a[i]) - (b ? static_cast<double>(b[i]) : 0);
    square += difference * difference;
  }
  return std::sqrt(square);
}

void read_gradients(const Observation& o, Reading& r) {
  if (!o.gradients) return;
  for (const Parameter& p : o.parameters.list())
    if (p.trained) r.add(p.path, "norm", distance(o.gradients + p.offset, nullptr, p.shape.size()));
}

// ||w - w_before|| / ||w_before||, NaN where w_before = 0 (as biases are at the start).
void read_updates(const Observation& o, Reading& r) {
  if (!o.values_before) return;
  for (const Parameter& p : o.parameters.list()) {
    if (!p.trained) continue;
    const Real *now = o.parameters.values() + p.offset, *before = o.values_before + p.offset;
    const Index size = p.shape.size();
    r.add(p.path, "ratio", ratio(distance(now, before, size), distance(before, nullptr, size)));
  }
}

const RegisteredProbe spectrum_probe(
    "qk.spectrum", "[layer, head], eigenvalues [layer, head, D, 2]",
    "spectrum of W = W_Q W_K^T of each head; eigenvalues as real and imaginary part", read_spectrum,
    {
        {.key = "trace",
         .title = "Trace of W",
         .unit = "tr W",
         .row = "trace of W",
         .live = "tr",
         .order = 20},
        {.key = "trace_square", .title = "Trace of W²", .unit = "tr W²", .detail = true},
        {.key = "frobenius_square",
         .title = "Scale of W",
         .unit = "‖W‖_F²",
         .row = "scale ||W||_F^2",
         .live = "|W|^2",
         .order = 21},
        {.key = "mean", .title = "Mean eigenvalue", .unit = "tr W / k", .detail = true},
        {.key = "variance", .title = "Variance of the eigenvalues", .detail = true},
        {.key = "radius", .title = "Largest |eigenvalue|", .row = "largest |eigenvalue|", .order = 23},
        {.key = "largest_singular", .title = "Largest singular value", .detail = true},
        {.key = "localisation",
         .title = "Localisation of the spectrum",
         .unit = "tr W / √(k ‖W‖_F²)",
         .row = "localisation tr W / sqrt(k ||W||_F^2)",
         .order = 22,
         .scale = Quantity::Scale::linear},
        {.key = "symmetry",
         .title = "Symmetry of W",
         .unit = "tr W² / ‖W‖_F²",
         .detail = true,
         .scale = Quantity::Scale::linear},
        {.key = "energy_1",
         .title = "Energy in the largest singular value",
         .unit = "share",
         .detail = true,
         .scale = Quantity::Scale::linear,
         .high = 1},
        {.key = "energy_4",
         .title = "Energy in the four largest singular values",
         .unit = "share",
         .detail = true,
         .scale = Quantity::Scale::linear,
         .high = 1},
    },
    {{.key = "eigenvalues",
      .kind = Picture::Kind::eigenvalues,
      .title = "Eigenvalues of W",
      .unit = "eigenvalue",
      .order = 10}});
const RegisteredProbe gradient_probe("grad.norm", "[tensor]",
                                     "norm of the gradient of each weight, before clipping", read_gradients,
                                     {{.key = "norm",
                                       .title = "Gradient norm",
                                       .unit = "before clipping",
                                       .detail = true,
                                       .scale = Quantity::Scale::logarithmic}});
const RegisteredProbe update_probe("update.ratio", "[tensor]",
                                   "how far the last update moved each weight, relative to its norm",
                                   read_updates,
                                   {{.key = "ratio",
                                     .title = "Update relative to the weight",
                                     .unit = "‖Δw‖ / ‖w‖",
                                     .detail = true,
                                     .scale = Quantity::Scale::logarithmic}});

}  // namespace
}  // namespace ef
