// UTF-8, read strictly: a text that is not what it claims to be is reported, never repaired.
#pragma once
#include <string>
#include <string_view>

#include "engine/real.h"

namespace ef {

// The code point of `text` that starts at byte `at`, which must be inside the text; moves `at` behind it.
// Throws Error with byte offset and line if the bytes are not UTF-8 as RFC 3629 defines it: a stray
// continuation byte, a truncated or overlong sequence, a surrogate (U+D800-U+DFFF), a number above U+10FFFF.
char32_t next_code_point(std::string_view text, Index& at);

// The UTF-8 bytes of a code point. Throws Error for a surrogate or a number above U+10FFFF.
std::string to_utf8(char32_t c);

// "U+0041"
std::string code_point_name(char32_t c);

// Python's str.isspace, which decides where fairseq splits words.
bool is_space(char32_t c);

}  // namespace ef
