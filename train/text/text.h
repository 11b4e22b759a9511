// Numbers and words as people and files read them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ef {

// Text that stands in a page as it is: &, <, >, " escaped, control characters and what is not UTF-8
// replaced.
std::string escape_html(std::string_view text);
// 3.1416 with so many decimals; as short as so many digits allow; "1,234,567" with separators.
std::string fixed(double value, int decimals);
std::string concise(double value, int digits);
std::string grouped(double value);
// The shortest text that reads back as the same number; "" if it is not finite.
std::string exact(double value);
std::string exact(float value);
// A field of a CSV file, in quotes if it must be. Text that a spreadsheet would take for a formula (it begins
// with = + - @, a tab or a line end, and is no number) gets a ' in front, which spreadsheets read as "text".
std::string csv_field(std::string_view text);

// Text in a Markdown document as it is, on one line: what would be markup, HTML, a link or the end of a
// table's cell is escaped.
std::string escape_markdown(std::string_view text);
// Text that a terminal shows as it is: control characters but line ends and tabs, and what turns the
// direction of text around, as \x1B; bytes that are not UTF-8 the same way.
std::string printable(std::string_view text);
// The same of a text that comes piece by piece, where a piece may end within a character.
class PrintableStream {
 public:
  std::string add(std::string_view piece);  // what can be shown by now
  std::string end();                        // and the rest

 private:
  std::string waiting_;
};
// Whether all of it is UTF-8.
bool is_utf8(std::string_view text);

// As printf, into a string: 255 characters at most.
[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...);
// The shortest text that reads back as the same number, of numbers that are not finite, too.
std::string number_text(double x);
// Four significant digits, no exponents where a person would write none; "-" for NaN.
std::string short_text(double x);
std::string signed_text(double x);  // the same, with a plus where it is above 0
// "0.012", "<0.0001", "-" for NaN: a p value.
std::string p_text(double p);
// A loss or another figure in a table of runs: "1.2345", "123.45", "-" for NaN.
std::string figure_text(double x);
// "1.2G", "3.40M", "5.6k", "78": a number that may be large.
std::string short_number(double x);
// So many, and the word for them: "1 pair", "2 pairs".
std::string count_text(std::size_t count, const std::string& word);
// "a, b and c"
std::string enumeration(const std::vector<std::string>& words);

}  // namespace ef
