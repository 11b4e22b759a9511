#include "train/options/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>

#include "engine/error.h"
#include "engine/nearest.h"

namespace ef {
namespace {

template <class Number>
Field number_field(const std::string& group, const std::string& name, Number& value, const std::string& help,
                   const char* expected) {
  const auto get = [&value] {
    char text[32];
    return std::string(text, std::to_chars(text, text + sizeof text, value).ptr);
  };
  const auto set = [&value, name, expected](const std::string& text) {
    Number parsed{};
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, parsed);
    bool right = error == std::errc() && stop == end;
    if constexpr (std::is_floating_point_v<Number>) right = right && std::isfinite(parsed);
    if (!right) fail("--" + name, "'" + text + "'", expected);
    value = parsed;
  };
  return {group, name, help, false, false, get, set};
}

}  // namespace

void FieldList::add(const std::string& name, Index& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a whole number"));
}

void FieldList::add(const std::string& name, std::uint64_t& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a whole number, not negative"));
}

void FieldList::add(const std::string& name, double& value, const std::string& help) {
  list.push_back(number_field(group, name, value, help, "a number"));
}

void FieldList::add(const std::string& name, bool& value, const std::string& help) {
  const auto set = [&value, name](const std::string& text) {
    if (text != "true" && text != "false") fail("--" + name, "'" + text + "'", "true or false");
    value = text == "true";
  };
  list.push_back(
      {group, name, help, true, false, [&value] { return std::string(value ? "true" : "false"); }, set});
}

void FieldList::add(const std::string& name, std::string& value, const std::string& help) {
  list.push_back({group, name, help, false, true, [&value] { return value; },
                  [&value](const std::string& text) { value = text; }});
}

void FieldList::add(const std::string& name, std::string& value, const std::string& help,
                    const std::vector<std::string>& names) {
  std::string known;
  for (const std::string& one : names) known += (known.empty() ? "" : ", ") + one;
  const auto set = [&value, name, names, known](const std::string& text) {
    if (std::find(names.begin(), names.end(), text) == names.end()) {
      const std::string match = nearest(text, names);
      fail("--" + name, "'" + text + "'", "one of " + known,
           match.empty() ? "" : "did you mean " + match + "?");
    }
    value = text;
  };
  list.push_back({group, name, help + ": " + known, false, true, [&value] { return value; }, set});
}

void FieldList::set(const std::string& name, const std::string& text) const {
  std::vector<std::string> names;
  for (const Field& field : list) {
    if (field.name == name) return field.set(text);
    names.push_back(field.name);
  }
  fail("no option " + name, "", "", suggestion(name, names));
}

}  // namespace ef
