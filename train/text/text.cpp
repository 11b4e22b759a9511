#include "train/text/text.h"

#include <charconv>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "data/utf8.h"
#include "engine/error.h"

namespace ef {

std::string escape_html(std::string_view text) {
  const std::string replacement = "\xEF\xBF\xBD";  // U+FFFD
  std::string out;
  for (Index at = 0; at < std::ssize(text);) {
    const Index begin = at;
    char32_t c = 0;
    try {
      c = next_code_point(text, at);
    } catch (const Error&) {  // a byte that is not UTF-8: a model of bytes writes such
      out += replacement;
      at = begin + 1;
      continue;
    }
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
      out += replacement;
    else
      out += text.substr(begin, at - begin);
  }
  return out;
}

std::string fixed(double value, int decimals) {
  char buffer[400];  // the largest double has 309 digits
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
  return buffer;
}

std::string concise(double value, int digits) {
  char buffer[400];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string grouped(double value) {
  std::string digits = fixed(std::fabs(value), 0);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return (value <= -0.5 ? "-" : "") + digits;
}

namespace {

template <class Number>
std::string shortest(Number value) {
  if (!std::isfinite(value)) return "";
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace

std::string exact(double value) { return shortest(value); }
std::string exact(float value) { return shortest(value); }

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string format(const char* pattern, ...) {
  char text[256];
  std::va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string number_text(double x) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, x).ptr};
}

// Four significant digits, and no exponents where a person would write none.
std::string short_text(double x) {
  if (std::isnan(x)) return "-";
  char text[48];
  const double size = std::fabs(x);
  std::snprintf(text, sizeof text, size >= 1000 && size < 1e6 ? "%.0f" : "%.4g", x);
  return text;
}

// Appended, not added: of + here, g++ 12 warns of an overlap that cannot be.
std::string signed_text(double x) {
  std::string text = x > 0 ? "+" : "";
  return text += short_text(x);
}

std::string p_text(double p) {
  if (std::isnan(p)) return "-";
  if (p < 1e-4) return "<0.0001";
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", p);
  return text;
}

std::string figure_text(double x) {
  char text[32];
  std::snprintf(text, sizeof text, std::fabs(x) < 100 ? "%.4f" : "%.2f", x);
  return std::isnan(x) ? "-" : text;
}

std::string short_number(double x) {
  if (x >= 1e9) return fixed(x / 1e9, 1) + "G";
  if (x >= 1e6) return fixed(x / 1e6, 2) + "M";
  if (x >= 1e3) return fixed(x / 1e3, 1) + "k";
  return fixed(x, 0);
}

std::string count_text(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// "a, b and c"
std::string enumeration(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

}  // namespace ef
