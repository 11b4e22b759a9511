// Probes by name: what to read from a model at a moment of its training.
//
// A probe is a function and one line of registration (see models/probes_*.cpp):
//
//   void read(const Observation& o, Reading& r) {
//     for (Index layer = 0; layer < o.layers(); ++layer) {
//       r.add(layer, -1, "norm", norm_of(o.at(layer, "resid_post")));
//     }
//   }
//   const RegisteredProbe probe("resid.norm", "[layer]", "the norm of the residual stream", read);
//
// From then on --probe resid.norm reads it and --list-probes prints it.
#pragma once
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/probe.h"
#include "models/transformer.h"

namespace ef {

// What a probe is given: the model, what its points showed in a forward without dropout over a few sequences
// of one split, and, if an update has just been done, gradients and the weights before it.
struct Observation {
  const Transformer& model;
  const Parameters& parameters;
  const std::map<std::string, Tensor>& seen;
  const Real* gradients = nullptr;      // flat, as parameters.values(): of the last update, before clipping
  const Real* values_before = nullptr;  // flat: the weights before the last update

  Index layers() const { return static_cast<Index>(model.blocks.size()); }
  Index heads() const { return model.config.heads; }
  // The tensor of "blocks.LAYER.POINT", for example "resid_post" [B, T, C], "attn.pattern" [B, H, T, T],
  // "attn.q" and "attn.k" [B, T, C], "attn_in" [B, T, C]. An empty Tensor if the model has no such point.
  Tensor at(Index layer, const std::string& point) const;
};

// What a probe answers.
class Reading {
 public:
  struct Scalar {
    Index layer, head;   // -1: of the whole model, or of all heads
    std::string tensor;  // a parameter's path, or ""
    std::string key;     // "nats", "normalised", ...
    double value;
  };
  struct Array {
    std::string key;  // "profile"
    std::vector<Index> shape;
    std::vector<float> values;
  };
  void add(Index layer, Index head, const std::string& key, double value) {
    scalars.push_back({layer, head, "", key, value});
  }
  void add(const std::string& tensor, const std::string& key, double value) {
    scalars.push_back({-1, -1, tensor, key, value});
  }
  void add_array(const std::string& key, std::vector<Index> shape, std::vector<float> values) {
    arrays.push_back({key, std::move(shape), std::move(values)});
  }
  // The mean of all scalars of that key; NaN if there is none.
  double mean(const std::string& key) const;

  std::vector<Scalar> scalars;
  std::vector<Array> arrays;
};

struct Probe {
  std::string name, shape, meaning;
  void (*read)(const Observation&, Reading&);
};

// All probes, by name.
std::vector<Probe>& all_probes();

// Those whose name matches one of the patterns (comma-separated, * stands for any letters). Error with the
// nearest name if a pattern matches none.
std::vector<Probe> probes_matching(const std::string& patterns);

struct RegisteredProbe {
  RegisteredProbe(const std::string& name, const std::string& shape, const std::string& meaning,
                  void (*read)(const Observation&, Reading&)) {
    all_probes().push_back({name, shape, meaning, read});
  }
};

}  // namespace ef
