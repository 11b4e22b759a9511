// Probes by name: what to read from a model at a moment of its training.
//
// A probe is a function, and one registration that says what it reads (see models/probes/*.cpp):
//
//   void read(const TextObservation& o, Reading& r) {
//     for (Index layer = 0; layer < o.layers(); ++layer) {
//       r.add(layer, -1, "norm", norm_of(o.at(layer, "resid_post")));
//     }
//   }
//   const RegisteredProbe probe("resid.norm", "[layer]", "the norm of the residual stream", read,
//                               {{.key = "norm", .title = "Norm of a token", .live = "norm"}});
//
// From then on --probe resid.norm reads it, --list-probes prints it, the report draws it, --against compares
// it, and a plan may measure resid.norm.norm. What quantities can say of themselves: models/quantity.h.
//
// A key that is added but not declared is kept like any other, under its full name: a run of hours shall not
// end for the lack of a title. Where a probe declares others, it is told once, as it may be mistyped.
//
// A probe sees text and nothing else. It is called once for each window of held-out text, and the window is
// cut to its text before the forward: no point shows a row of padding. What it says of the windows is put
// together here, with the standard error over windows. (A probe of weights alone is called once.)
#pragma once
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/points.h"
#include "models/quantity.h"
#include "models/transformer.h"

namespace ef {

// What a probe of weights is given: the model, and, if an update has just been done, gradients and the
// weights before it.
struct Observation {
  const Transformer& model;
  const Parameters& parameters;
  const Real* gradients = nullptr;      // flat, as parameters.values(): of the last update, before clipping
  const Real* values_before = nullptr;  // flat: the weights before the last update

  Index layers() const { return static_cast<Index>(model.blocks.size()); }
  Index heads() const { return model.config.heads; }
};

// What a probe of text is given: the same, and what the model's points showed in a forward without dropout
// over one window of held-out text, T tokens.
struct TextObservation : Observation {
  // By path, of a forward over one sequence (models/points.h).
  const std::map<std::string, Tensor>& seen;
  const std::map<std::string, std::string>& absent;
  bool first;  // whether this is the first of the windows, in the order of the text
  // [T]: what the model was given, and what it should guess; -1 where that is not scored.
  std::span<const std::int32_t> inputs, targets;

  TextObservation(const Observation& o, const std::map<std::string, Tensor>& s,
                  const std::map<std::string, std::string>& a, bool is_first,
                  std::span<const std::int32_t> given = {}, std::span<const std::int32_t> asked = {})
      : Observation(o), seen(s), absent(a), first(is_first), inputs(given), targets(asked) {}

  // The tensor of "blocks.LAYER.POINT":
  //   attn_in                    what attention reads, [T, C]
  //   attn.q, attn.k, attn.v     [T, C], the heads side by side; shared ones as often as they are shared
  //   attn.logits, attn.pattern  before and after softmax, [H, T, T], of which row n has its first n
  //   attn.z                     the values as the pattern mixes them, [T, C], the heads side by side
  //   attn.gate                  what z is multiplied with, of attentions that have a gate, [T, C]
  //   attn_out, mlp_out          what either part gives to the stream, [T, C]
  //   resid_mid, resid_post      the stream after either part, [T, C]
  // An empty Tensor if the layer does not show that: what it says of that is kept for missing().
  Tensor at(Index layer, const std::string& point) const;
  // The stream after the last block, normalised, [T, C], and the guess about each next token that the model
  // makes of it, [T, V]. Logits are computed when they are asked for, on the current tape: once a window.
  Tensor hidden() const;
  Tensor logits() const;
  // What at() was asked for in vain: "layer 0 does not show attn.logits: linear attention forms none".
  const std::set<std::string>& missing() const { return missing_; }

 private:
  mutable std::set<std::string> missing_;
};

// What a probe answers: of one window, and, put together, of all.
class Reading {
 public:
  struct Scalar {
    Index layer, head;   // -1: of the whole model, or of all heads
    std::string tensor;  // a parameter's path, or ""
    std::string key;     // "nats", "normalised", ...
    double value;
    double error;  // standard error over windows; NaN if there is none
  };
  struct Array {
    std::string key;  // "profile"
    std::vector<Index> shape;
    std::vector<float> values;
  };
  void add(Index layer, Index head, const std::string& key, double value) {
    scalars.push_back({layer, head, "", key, value, unknown});
  }
  void add(const std::string& tensor, const std::string& key, double value) {
    scalars.push_back({-1, -1, tensor, key, value, unknown});
  }
  void add_array(const std::string& key, std::vector<Index> shape, std::vector<float> values) {
    arrays.push_back({key, std::move(shape), std::move(values)});
  }
  // The mean of all scalars of that key; NaN if there is none.
  double mean(const std::string& key) const;

  std::vector<Scalar> scalars;
  std::vector<Array> arrays;
  Index windows = 0;              // of text that it rests on; 0: of weights
  std::set<std::string> missing;  // what was left out, and why: see also TextObservation::missing()

 private:
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
};

struct Probe {
  std::string name, shape, meaning;
  // One of the two.
  void (*read_text)(const TextObservation&, Reading&) = nullptr;
  void (*read_weights)(const Observation&, Reading&) = nullptr;
  // Adds scalars that are functions of the arrays' means over windows, and not means of functions: the
  // entropy of the mean profile. May be nullptr.
  void (*derive)(const std::vector<Reading::Array>& means, Reading&) = nullptr;
  std::vector<Quantity> quantities = {};  // the scalars that it adds, in the order in which they are told
  std::vector<Picture> pictures = {};     // the arrays

  // nullptr if it declares no such key.
  const Quantity* declared(const std::string& key) const;
};

// What is known of a probe's key: at least its name, if the probe, or the key, is not known here.
Quantity quantity_of(const std::string& probe, const std::string& key);

// What readings of several windows say together, in whatever order they are given (but for rounding). Each
// window counts the same. A scalar is the mean (largest: the largest), with the standard error of the mean;
// an array the mean of those windows that gave it; NaN where one is. The errors of what derive() adds are
// those of the jackknife (Tukey 1958; Efron and Stein 1981): with theta_i computed without window i,
//   error^2 = (n - 1) / n sum_i (theta_i - mean theta)^2.
Reading together(const Probe& probe, const std::vector<Reading>& of_windows);

// All probes, by name.
std::vector<Probe>& all_probes();

// Those whose name matches one of the patterns (comma-separated, * stands for any letters). Error with the
// nearest name if a pattern matches none.
std::vector<Probe> probes_matching(const std::string& patterns);

struct RegisteredProbe {
  RegisteredProbe(const std::string& name, const std::string& shape, const std::string& meaning,
                  void (*read)(const TextObservation&, Reading&), std::vector<Quantity> quantities = {},
                  std::vector<Picture> pictures = {},
                  void (*derive)(const std::vector<Reading::Array>&, Reading&) = nullptr) {
    all_probes().push_back(
        {name, shape, meaning, read, nullptr, derive, std::move(quantities), std::move(pictures)});
  }
  RegisteredProbe(const std::string& name, const std::string& shape, const std::string& meaning,
                  void (*read)(const Observation&, Reading&), std::vector<Quantity> quantities = {},
                  std::vector<Picture> pictures = {}) {
    all_probes().push_back(
        {name, shape, meaning, nullptr, read, nullptr, std::move(quantities), std::move(pictures)});
  }
};

}  // namespace ef
