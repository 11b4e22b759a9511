// Lists of options: each bound to a variable, with its name, help, and how it is read and written as text.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/real.h"

namespace ef {

struct Field {
  std::string group, name, help;
  bool is_flag = false;  // may stand alone: --flag is --flag=true
  bool is_text = false;  // a string in JSON, not a number
  std::function<std::string()> get;
  std::function<void(const std::string& text)> set;  // Error: got, expected
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

  // Error with the nearest name if there is no such field.
  void set(const std::string& name, const std::string& text) const;
};

}  // namespace ef
