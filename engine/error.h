// Errors that a person can act on: what went wrong, what was got, what was expected, and a hint.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace ef {

// A mistake of the user or of the caller (wrong option, unreadable file, wrong shape). Programs print it and
// exit with status 2.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A NaN or an infinity appeared in a computation. Programs keep the last good checkpoint and exit with
// status 3.
struct NumericalError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What somebody wrote, as it may stand in a message: 'text', without control characters, and not too long.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t most = 200;
  std::string result = "'";
  for (const char c : text.substr(0, most)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      result += c;
      continue;
    }
    constexpr const char* digits = "0123456789ABCDEF";
    result += "\\x";
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  result += text.size() > most ? "...'" : "'";
  return result;
}

// Throws Error with the text "WHAT: got GOT, expected EXPECTED (HINT)". Empty parts are left out.
[[noreturn]] inline void fail(const std::string& what, const std::string& got = "",
                              const std::string& expected = "", const std::string& hint = "") {
  std::string text = what;
  if (!got.empty()) text += ": got " + got;
  if (!expected.empty()) text += (got.empty() ? ": expected " : ", expected ") + expected;
  if (!hint.empty()) text += " (" + hint + ")";
  throw Error(text);
}

}  // namespace ef
