#include "train/files/json.h"

#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "engine/error.h"

namespace ef {
namespace {

// As much of a value as a message can hold.
std::string shown(const nlohmann::ordered_json& value) {
  return in_quotes(
      value.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).substr(0, 60));
}

// Without the library's number of the error: "[json.exception.parse_error.101] parse error at line 1, ...".
std::string said_by(const std::exception& error) {
  const std::string text = error.what();
  const std::size_t end = text.find("] ");
  return text.starts_with("[json.") && end != text.npos ? text.substr(end + 2) : text;
}

// Each function returns whether to go on.
struct Walk : nlohmann::json_sax<nlohmann::json> {
  int deepest = 0;
  JsonFlaws flaws = {};
  int depth = 0;
  std::vector<std::set<std::string>> keys = {};  // of the objects that are open

  bool open() { return !(flaws.deep = ++depth > deepest); }
  bool close() { return --depth, true; }
  bool start_object(std::size_t) override { return keys.emplace_back(), open(); }
  bool end_object() override { return keys.pop_back(), close(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }
  bool key(std::string& name) override {
    if (keys.back().insert(name).second) return true;
    flaws.twice = true;
    flaws.key = name;
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(std::int64_t) override { return true; }
  bool number_unsigned(std::uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }
};

}  // namespace

JsonFlaws json_flaws(std::string_view text, int deepest, bool comments) {
  Walk walk;
  walk.deepest = deepest;
  nlohmann::json::sax_parse(text, &walk, nlohmann::json::input_format_t::json, true, comments);
  return walk.flaws;
}

template <class Json>
Json parse_json(std::string_view text, const std::string& what, JsonBy by) {
  // It would stop at a zero byte as if the text ended there.
  if (text.find('\0') != text.npos) fail(what + " is not JSON", "a NUL byte", "text");
  // The parser itself does not recurse, but what prints, copies and destroys a value does.
  const JsonFlaws flaws = json_flaws(text, deepest_json, by == JsonBy::hand);
  if (flaws.deep)
    fail(what, "brackets in brackets, more than " + std::to_string(deepest_json) + " deep",
         "JSON as this program reads it");
  if (flaws.twice && by == JsonBy::hand) fail(what + ": " + shown(flaws.key), "two of that name", "one");
  try {
    return Json::parse(text, nullptr, true, by == JsonBy::hand);
  } catch (const nlohmann::json::exception& error) {
    fail(what + " is not JSON: " + in_quotes(said_by(error)));
  }
}

template nlohmann::json parse_json(std::string_view, const std::string&, JsonBy);
template nlohmann::ordered_json parse_json(std::string_view, const std::string&, JsonBy);

std::string text_at(const nlohmann::ordered_json& object, const std::string& key, const std::string& what) {
  const auto found = object.find(key);
  if (found == object.end()) return "";
  if (!found->is_string()) fail(what + ": " + key, shown(*found), "a text");
  return found->get<std::string>();
}

double number_at(const nlohmann::ordered_json& object, const std::string& key, const std::string& what) {
  const auto found = object.find(key);
  if (found == object.end()) return std::nan("");
  if (!found->is_number()) fail(what + ": " + key, shown(*found), "a number");
  return found->get<double>();
}

Index whole_number(const nlohmann::ordered_json& value, const std::string& what) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<std::uint64_t>() > most))
    fail(what, shown(value), "a whole number");
  return value.get<Index>();
}

}  // namespace ef
