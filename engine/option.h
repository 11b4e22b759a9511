// Options that siblings declare: each beside the code that reads it, and in no table elsewhere.
//
//   const Option<double> cap("softcap", 30, above(0), "logits stay within +- softcap");
//
//   struct Softcap : ComposedAttention {
//     Softcap(const Builder& b, const ModelConfig& c) : ComposedAttention(b, c), cap_(cap(c.options)) {}
//     ...
//   };
//   const Registered<Attention, Softcap> softcap("softcap", "logits stay within +- softcap", {cap});
//
// From then on --softcap is an option of every program that takes this attention: on the command line, in
// --help, config.json, plans and presets. Its bounds are checked, and whoever sets it while another attention
// is chosen is told that it does nothing.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/real.h"

namespace ef {

// What options were set to, by name, as text. What was not set has the default of whoever declares it.
class OptionValues {
 public:
  void set(const std::string& name, const std::string& text) { texts_[name] = text; }
  void set(const std::string& name, const char* text) { texts_[name] = text; }
  void set(const std::string& name, bool value) { texts_[name] = value ? "true" : "false"; }
  void set(const std::string& name, double value);
  void set(const std::string& name, Index value);
  void set(const std::string& name, int value) { set(name, Index{value}); }
  void unset(const std::string& name) { texts_.erase(name); }
  // nullptr where it was not set.
  const std::string* find(const std::string& name) const;
  bool operator==(const OptionValues&) const = default;

 private:
  std::map<std::string, std::string> texts_;
};

// What numbers an option takes: from least to most, and whether these two are among them.
struct Bounds {
  double least, most;
  bool with_least, with_most;

  bool hold(double x) const;
  std::string text() const;  // "above 0", "at least 0", "0 <= value < 1"
};
Bounds any_number();
Bounds above(double x);
Bounds at_least(double x);
Bounds within(double low, double high);  // low <= value <= high
Bounds below_one();                      // 0 <= value < 1

// Why an option does nothing beside the others: "hold is 0"; "" if it does something. May be nullptr: it
// always does.
using IdleReason = std::string (*)(const OptionValues&);

struct SiblingEntry;  // engine/registry.h

// An option whatever its type: what command lines and files need to know of it.
struct Declaration {
  std::string name, help, usual;  // usual: its default, as text
  bool is_flag = false;           // may stand alone on a command line
  bool is_text = false;           // a string in JSON, not a number
  IdleReason idle = nullptr;
  // The text as it is kept, of a value that may be. Error: "--softcap: got '-1', expected above 0".
  std::function<std::string(const std::string& text)> checked = nullptr;
  // Where the value is the name of a sibling: those that there are, whose options come with it.
  std::function<std::vector<SiblingEntry>()> siblings = nullptr;
  std::vector<std::string> names = {};  // where the value is one of a few
};

// Error with the nearest name if the text is none of the names: "--schedule: got 'cosin', expected one of
// ...".
void check_is_one_of(const std::string& option, const std::string& text,
                     const std::vector<std::string>& names);
// "cosine, linear, constant"
std::string list_of(const std::vector<std::string>& names);

// Value: double, Index, bool or std::string.
template <class Value>
class Option {
 public:
  // A number. Error where its default is out of bounds.
  Option(const std::string& name, Value usual, const Bounds& bounds, const std::string& help,
         IdleReason idle = nullptr) requires(std::is_same_v<Value, double> || std::is_same_v<Value, Index>);
  // One of a few names, the first of them by default; or any text, where there are none.
  Option(const std::string& name, const std::string& usual, const std::vector<std::string>& names,
         const std::string& help, IdleReason idle = nullptr) requires(std::is_same_v<Value, std::string>);
  // Yes or no.
  Option(const std::string& name, bool usual, const std::string& help,
         IdleReason idle = nullptr) requires(std::is_same_v<Value, bool>);

  // What it was set to, or its default. Error as Declaration::checked.
  Value operator()(const OptionValues& values) const;
  operator const Declaration&() const { return declaration_; }
  const std::string& name() const { return declaration_.name; }

 private:
  Declaration declaration_;
};

}  // namespace ef
