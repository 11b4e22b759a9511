// Siblings by name. A part (a norm, an attention, an optimiser, a source of data, ...) is an interface; each
// way to do it is a struct in a file of its own, which ends with one line that makes it known:
//
//   const Registered<Norm, MyNorm> my_norm("my-norm", "what it does, in a few words", {its, options});
//
// From then on --norm my-norm picks it, --help lists it with its options (engine/option.h), and a mistyped
// name is answered with the nearest one.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/error.h"
#include "engine/nearest.h"
#include "engine/option.h"

namespace ef {

// Does nothing, but is defined in the one object that `make lib` makes of all sources. Whoever asks for
// siblings calls it, so that a linker takes that object out of its archive, and all registrations with it.
void keep_siblings_linked();

// A sibling, but for how it is made.
struct SiblingEntry {
  std::string name, what;
  std::vector<Declaration> options;
  // Why the sibling does nothing at all as it is set: "strength and hold are 0". May be nullptr.
  IdleReason idle;
  // Options of the model or run, declared by no sibling, that have no effect beside this one: a feed-forward
  // part with an activation of its own ignores "activation". Who sets one is told.
  std::vector<std::string> ignores = {};
};

// Part: the interface. Part::kind is its name in messages, Part::Factory what makes one:
// std::function<std::unique_ptr<Part>(...)>.
template <class Part>
class Registry {
 public:
  struct Entry : SiblingEntry {
    typename Part::Factory make;
  };

  static std::vector<Entry>& entries() {
    static std::vector<Entry> all;
    keep_siblings_linked();
    return all;
  }

  static std::vector<std::string> names() {
    std::vector<std::string> list;
    for (const Entry& entry : entries()) list.push_back(entry.name);
    return list;
  }

  // Error with the nearest name if there is none like it, or if there are two.
  static const Entry& find(const std::string& name) {
    const Entry* found = nullptr;
    for (const Entry& entry : entries()) {
      if (entry.name != name) continue;
      if (found)
        fail(std::string("two siblings of ") + Part::kind + " are called " + name, "", "",
             "rename one of them");
      found = &entry;
    }
    if (!found) fail(std::string("no ") + Part::kind + " called " + name, "", "", suggestion(name, names()));
    return *found;
  }

  template <class... Arguments>
  static std::unique_ptr<Part> make(const std::string& name, Arguments&&... arguments) {
    return find(name).make(std::forward<Arguments>(arguments)...);
  }
};

// Sibling: a struct whose constructor takes what Part::Factory takes.
template <class Part, class Sibling>
struct Registered {
  Registered(const std::string& name, const std::string& what, std::vector<Declaration> options = {},
             IdleReason idle = nullptr, std::vector<std::string> ignores = {}) {
    const auto make = [](auto&&... arguments) -> std::unique_ptr<Part> {
      return std::make_unique<Sibling>(std::forward<decltype(arguments)>(arguments)...);
    };
    Registry<Part>::entries().push_back({{name, what, std::move(options), idle, std::move(ignores)}, make});
  }
};

// An option whose value is the name of a sibling of another part, whose options come with it: the tokenizer
// of a source of text.
//
//   const Choice<Tokenizer> tokens("tokens", "chars", "what a token is");
template <class Part>
class Choice {
 public:
  Choice(const std::string& name, const std::string& usual, const std::string& help) {
    declaration_ = {name, help, usual, false, true};
    declaration_.checked = [name](const std::string& text) {
      check_is_one_of(name, text, Registry<Part>::names());
      return text;
    };
    // Asked for later, when all of them have registered themselves.
    declaration_.siblings = [] {
      const auto& all = Registry<Part>::entries();
      return std::vector<SiblingEntry>(all.begin(), all.end());
    };
  }

  std::string operator()(const OptionValues& values) const {
    const std::string* set = values.find(declaration_.name);
    return set ? declaration_.checked(*set) : declaration_.usual;
  }
  operator const Declaration&() const { return declaration_; }

 private:
  Declaration declaration_;
};

}  // namespace ef
