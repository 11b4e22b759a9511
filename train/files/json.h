// JSON that comes from anywhere: what is wrong with it is an Error that names the file, whatever is in it.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "engine/real.h"

namespace ef {

// Who wrote it. What people write may have comments, and no object has two keys of one name: they would not
// see that the last one wins.
enum class JsonBy { program, hand };

// Deeper than anything here is written, and far from where the library's recursion would overflow the stack.
constexpr int deepest_json = 64;

// What is wrong with JSON that is JSON. Where both are, `deep` may be all that is told.
struct JsonFlaws {
  bool deep = false;  // brackets in brackets, more than so many
  bool twice = false;
  std::string key;  // that an object has twice
};
// Walks through it without keeping it. (The library's own way to watch a parser is quadratic in the number of
// values.) Silent where the text is no JSON.
JsonFlaws json_flaws(std::string_view text, int deepest, bool comments = false);

// what: names the text in messages, as the path of its file. Json: nlohmann::json or nlohmann::ordered_json.
// Error unless the whole text is one JSON value, nested at most deepest_json deep.
template <class Json = nlohmann::ordered_json>
Json parse_json(std::string_view text, const std::string& what, JsonBy by = JsonBy::program);
extern template nlohmann::json parse_json(std::string_view, const std::string&, JsonBy);
extern template nlohmann::ordered_json parse_json(std::string_view, const std::string&, JsonBy);

// The text at a key of an object; "" if there is no such key. Error if it is something else.
std::string text_at(const nlohmann::ordered_json& object, const std::string& key, const std::string& what);
// The number there; NaN if there is none. Error if it is something else.
double number_at(const nlohmann::ordered_json& object, const std::string& key, const std::string& what);
// The value as a whole number that fits. Error if it is something else.
Index whole_number(const nlohmann::ordered_json& value, const std::string& what);

}  // namespace ef
