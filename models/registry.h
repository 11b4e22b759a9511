// Siblings by name. A part of the model (a norm, an attention, a block, ...) is an interface; each way to do
// it is a struct in a file of its own, which ends with one line that makes it known:
//
//   const Registered<Norm, MyNorm> my_norm("my-norm", "what it does, in a few words");
//
// From then on --norm my-norm picks it, --help lists it, and a mistyped name is answered with the nearest
// one.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/nearest.h"
#include "engine/parameters.h"
#include "models/config.h"

namespace ef {

template <class Part>
class Registry {
 public:
  using Factory = std::function<std::unique_ptr<Part>(const Builder&, const ModelConfig&)>;
  struct Entry {
    std::string name, what;
    Factory make;
  };

  static std::vector<Entry>& entries() {
    static std::vector<Entry> all;
    return all;
  }

  static std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const Entry& entry : entries()) list.push_back(entry.name);
    return list;
  }

  // Error with the nearest name if there is none like it, or if there are two.
  static std::unique_ptr<Part> make(const std::string& name, const Builder& builder,
                                    const ModelConfig& config) {
    const Entry* found = nullptr;
    for (const Entry& entry : entries()) {
      if (entry.name != name) continue;
      if (found)
        fail(std::string("two siblings of ") + Part::kind + " are called " + name, "", "",
             "rename one of them");
      found = &entry;
    }
    if (found) return found->make(builder, config);
    fail(std::string("no ") + Part::kind + " called " + name, "", "", suggestion(name, names()));
  }
};

// Part: the interface. Sibling: a struct with a constructor (const Builder&, const ModelConfig&).
template <class Part, class Sibling>
struct Registered {
  Registered(const std::string& name, const std::string& what) {
    Registry<Part>::entries().push_back({name, what, [](const Builder& b, const ModelConfig& config) {
                                           return std::make_unique<Sibling>(b, config);
                                         }});
  }
};

}  // namespace ef
