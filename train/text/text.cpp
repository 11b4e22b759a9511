#include "train/text/text.h"

#include <cctype>
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

namespace {

bool is_number(std::string_view text) {
  double value = 0;
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && stop == text.data() + text.size();
}

// Calls each(code point, its bytes), or each(-1, one byte) where a byte is not UTF-8.
template <class Each>
void for_each_character(std::string_view text, const Each& each) {
  for (Index at = 0; at < std::ssize(text);) {
    const Index begin = at;
    std::int64_t c = -1;
    try {
      c = next_code_point(text, at);
    } catch (const Error&) {
      at = begin + 1;
    }
    each(c, text.substr(begin, at - begin));
  }
}

}  // namespace

std::string escape_markdown(std::string_view text) {
  const auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i], after = i + 1 < text.size() ? text[i + 1] : ' ';
    const bool within = i > 0 && is_letter(text[i - 1]) && is_letter(after);
    // Brackets alone are text, as in an interval; what stands behind them makes a link of them.
    const bool link = c == ']' && std::string_view("([:").find(after) != std::string_view::npos;
    if (c == '\n' || c == '\r' || c == '\t') {
      out += ' ';
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      if (link || (c == '_' && !within) || std::string_view("\\`*|~").find(c) != std::string_view::npos)
        out += '\\';
      out += c;
    }
  }
  // A bare address becomes a link where it is shown; its colon is what makes it one.
  for (std::size_t at = 0; (at = out.find("://", at)) != std::string::npos;) out.replace(at, 1, "&#58;");
  return printable(out);
}

std::string printable(std::string_view text) {
  std::string out;
  for_each_character(text, [&](std::int64_t c, std::string_view bytes) {
    const bool control = c < 0 || (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0);
    const bool turns = (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
    if (!control && !turns) {
      out += bytes;
      return;
    }
    for (const char byte : bytes)
      out += format("\\x%02X", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  });
  return out;
}

std::string PrintableStream::add(std::string_view piece) {
  waiting_ += piece;
  // The last character may lack bytes: up to three that begin it, and say how many there will be.
  std::size_t whole = waiting_.size();
  for (std::size_t back = 1; back <= 3 && back <= waiting_.size(); ++back) {
    const auto byte = static_cast<unsigned char>(waiting_[waiting_.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    if (length > back) whole = waiting_.size() - back;
    break;
  }
  const std::string shown = printable(std::string_view(waiting_).substr(0, whole));
  waiting_.erase(0, whole);
  return shown;
}

std::string PrintableStream::end() {
  const std::string shown = printable(waiting_);
  waiting_.clear();
  return shown;
}

bool is_utf8(std::string_view text) {
  bool all = true;
  for_each_character(text, [&](std::int64_t c, std::string_view) { all = all && c >= 0; });
  return all;
}

std::string csv_field(std::string_view given) {
  std::string text(given);
  if (text.size() > 1 && std::string_view("=+-@\t\r\n").find(text[0]) != std::string_view::npos &&
      !is_number(text))
    text.insert(0, 1, '\'');
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return text;
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
