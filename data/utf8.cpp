#include "data/utf8.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "engine/error.h"

namespace ef {
namespace {

[[noreturn]] void reject(std::string_view text, Index at, const std::string& why) {
  const Index line = 1 + std::count(text.begin(), text.begin() + at, '\n');
  fail("text is not valid UTF-8", why + " at byte " + std::to_string(at) + ", line " + std::to_string(line),
       "UTF-8", "convert the file, for example with iconv -t UTF-8");
}

}  // namespace

char32_t next_code_point(std::string_view text, Index& at) {
  const auto byte = [&](Index i) { return static_cast<unsigned char>(text[i]); };
  const char32_t first = byte(at);
  if (first < 0x80) {
    ++at;
    return first;
  }
  if (first < 0xC0) reject(text, at, "a continuation byte without a beginning");
  if (first >= 0xF8) reject(text, at, "a byte that never occurs");

  // The first byte tells the length by its leading ones: 110xxxxx, 1110xxxx, 11110xxx; 10xxxxxx follow.
  const Index length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  char32_t c = first & (0xFFu >> (length + 1));
  for (Index i = at + 1; i < at + length; ++i) {
    if (i == std::ssize(text) || (byte(i) & 0xC0) != 0x80) reject(text, at, "a truncated character");
    c = c << 6 | (byte(i) & 0x3Fu);
  }
  // Every code point has one spelling only, the shortest.
  if (c < (length == 2 ? 0x80u : length == 3 ? 0x800u : 0x10000u)) reject(text, at, "an overlong character");
  if (c >= 0xD800 && c <= 0xDFFF) reject(text, at, "a surrogate");
  if (c > 0x10FFFF) reject(text, at, "a code point above U+10FFFF");
  at += length;
  return c;
}

std::string to_utf8(char32_t c) {
  if ((c >= 0xD800 && c <= 0xDFFF) || c > 0x10FFFF) fail("not a character", code_point_name(c));
  const int tail = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;  // bytes after the first
  if (tail == 0) return {static_cast<char>(c)};
  std::string bytes = {static_cast<char>((0xFF00u >> (tail + 1) & 0xFFu) | c >> 6 * tail)};
  for (int i = tail - 1; i >= 0; --i) bytes += static_cast<char>(0x80 | (c >> 6 * i & 0x3F));
  return bytes;
}

std::string code_point_name(char32_t c) {
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "U+%04X", static_cast<unsigned>(c));
  return name.data();
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

}  // namespace ef
