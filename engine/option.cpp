#include "engine/option.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "engine/error.h"
#include "engine/nearest.h"

namespace ef {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The shortest text that reads back as the same number.
template <class Number>
std::string text_of(Number value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

// Error unless the whole text is such a number, and finite.
template <class Number>
Number number_of(const std::string& name, const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(static_cast<double>(value)))
    fail("--" + name, in_quotes(text), std::is_same_v<Number, double> ? "a number" : "a whole number");
  return value;
}

template <class Number>
Declaration of_number(const std::string& name, Number usual, const Bounds& bounds, const std::string& help,
                      IdleReason idle) {
  const auto checked = [name, bounds](const std::string& text) {
    const Number value = number_of<Number>(name, text);
    if (!bounds.hold(static_cast<double>(value))) fail("--" + name, text, bounds.text());
    return text_of(value);
  };
  Declaration d{name, help, text_of(usual), false, false, idle, checked};
  d.checked(d.usual);
  return d;
}

Declaration of_text(const std::string& name, const std::string& usual, const std::vector<std::string>& names,
                    const std::string& help, IdleReason idle) {
  const auto checked = [name, names](const std::string& text) {
    if (!names.empty()) check_is_one_of(name, text, names);
    return text;
  };
  Declaration d{name, names.empty() ? help : help + ": " + list_of(names), usual, false, true, idle, checked};
  d.names = names;
  d.checked(d.usual);
  return d;
}

Declaration of_flag(const std::string& name, bool usual, const std::string& help, IdleReason idle) {
  const auto checked = [name](const std::string& text) {
    if (text != "true" && text != "false") fail("--" + name, in_quotes(text), "true or false");
    return text;
  };
  return {name, help, usual ? "true" : "false", true, false, idle, checked};
}

}  // namespace

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_is_one_of(const std::string& option, const std::string& text,
                     const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), text) == names.end()) {
    const std::string match = nearest(text, names);
    fail("--" + option, in_quotes(text), "one of " + list_of(names),
         match.empty() ? "" : "did you mean " + match + "?");
  }
}

void OptionValues::set(const std::string& name, double value) { texts_[name] = text_of(value); }
void OptionValues::set(const std::string& name, Index value) { texts_[name] = text_of(value); }

const std::string* OptionValues::find(const std::string& name) const {
  const auto found = texts_.find(name);
  return found == texts_.end() ? nullptr : &found->second;
}

bool Bounds::hold(double x) const {
  return (with_least ? x >= least : x > least) && (with_most ? x <= most : x < most);
}

std::string Bounds::text() const {
  if (least == -infinity && most == infinity) return "a finite number";
  if (most == infinity) return (with_least ? "at least " : "above ") + text_of(least);
  if (least == -infinity) return (with_most ? "at most " : "below ") + text_of(most);
  return text_of(least) + (with_least ? " <= value " : " < value ") + (with_most ? "<= " : "< ") +
         text_of(most);
}

Bounds any_number() { return {-infinity, infinity, false, false}; }
Bounds above(double x) { return {x, infinity, false, false}; }
Bounds at_least(double x) { return {x, infinity, true, false}; }
Bounds within(double low, double high) { return {low, high, true, true}; }
Bounds below_one() { return {0, 1, true, false}; }

template <class Value>
Option<Value>::Option(const std::string& name, Value usual, const Bounds& bounds, const std::string& help,
                      IdleReason idle) requires(std::is_same_v<Value, double> || std::is_same_v<Value, Index>)
    : declaration_([&] {
        // clang instantiates this for text, too, which the constraint rules out.
        if constexpr (std::is_same_v<Value, double> || std::is_same_v<Value, Index>)
          return of_number(name, usual, bounds, help, idle);
        return Declaration{};
      }()) {}

template <class Value>
Option<Value>::Option(const std::string& name, const std::string& usual,
                      const std::vector<std::string>& names, const std::string& help,
                      IdleReason idle) requires(std::is_same_v<Value, std::string>)
    : declaration_(of_text(name, usual, names, help, idle)) {}

template <class Value>
Option<Value>::Option(const std::string& name, bool usual, const std::string& help,
                      IdleReason idle) requires(std::is_same_v<Value, bool>)
    : declaration_(of_flag(name, usual, help, idle)) {}

template <class Value>
Value Option<Value>::operator()(const OptionValues& values) const {
  const std::string* set = values.find(declaration_.name);
  const std::string text = set ? declaration_.checked(*set) : declaration_.usual;
  if constexpr (std::is_same_v<Value, std::string>)
    return text;
  else if constexpr (std::is_same_v<Value, bool>)
    return text == "true";
  else
    return number_of<Value>(declaration_.name, text);
}

template class Option<double>;
template class Option<Index>;
template class Option<bool>;
template class Option<std::string>;

}  // namespace ef
