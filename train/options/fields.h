// Lists of options: each bound to a variable, with its name, help, and how it is read and written as text.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/real.h"
#include "engine/registry.h"

namespace ef {

// What else is known of an option that siblings declare.
struct SiblingOption {
  std::string root;                   // the option that all hangs on: of --max-vocabulary it is data
  std::function<bool()> chosen;       // whether a sibling is chosen that has it
  std::function<bool()> set;          // whether it was set, be it to its default
  std::function<void()> unset;        // it has its default again
  std::function<std::string()> idle;  // why it does nothing as all is set; "" if it does something
};

struct Field {
  std::string group, name, help;
  bool is_flag = false;  // may stand alone: --flag is --flag=true
  bool is_text = false;  // a string in JSON, not a number
  std::function<std::string()> get;
  std::function<void(const std::string& text)> set;  // Error: got, expected
  std::optional<SiblingOption> sibling = {};
  std::vector<std::string> names = {};  // of which the value is one, or may be: for completion in shells
};

// The variables must outlive the list.
class FieldList {
 public:
  std::vector<Field> list;
  std::string group;  // the heading under which the next fields stand in --help

  void add(const std::string& name, Index& value, const std::string& help);
  void add(const std::string& name, std::uint64_t& value, const std::string& help);
  void add(const std::string& name, double& value, const std::string& help);
  void add(const std::string& name, bool& value, const std::string& help);
  void add(const std::string& name, std::string& value, const std::string& help);
  // One of a few names.
  void add(const std::string& name, std::string& value, const std::string& help,
           const std::vector<std::string>& names);

  using Chosen = std::function<std::vector<std::string>()>;
  // The options that siblings of a part declare: each one field, though several siblings have one of its
  // name. part: the option that chooses among them. chosen: the names that are, as all is set (norms have two
  // places). An option that chooses among siblings itself brings their options, too.
  template <class Part>
  void add_options(const std::string& part, const Chosen& chosen, OptionValues& values) {
    const auto& all = Registry<Part>::entries();
    add_options({part, part, {all.begin(), all.end()}, chosen, {}}, values);
  }

  // Siblings among which an option chooses.
  struct Siblings {
    std::string root,
        part;  // the option that all hangs on, and the one that chooses: of words, data and tokens
    std::vector<SiblingEntry> entries;
    Chosen chosen;                           // none where the option that chooses has no effect
    std::function<std::string()> none_idle;  // and why it has none
  };
  void add_options(const Siblings& siblings, OptionValues& values);

  // Error with the nearest name if there is no such field.
  void set(const std::string& name, const std::string& text) const;
  const Field* find(const std::string& name) const;  // nullptr if there is none
};

}  // namespace ef
