// Errors that a person can act on: what went wrong, what was got, what was expected, and a hint.
#pragma once
#include <stdexcept>
#include <string>

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
