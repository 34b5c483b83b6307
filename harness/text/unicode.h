// UTF-8 and the character properties that tokenizers ask for (ICU's Unicode tables).
#pragma once

#include <unicode/umachine.h>

#include <string>
#include <string_view>

#include "harness/base/text.h"

namespace kvbench::text {

// How SentencePiece writes a blank: U+2581.
inline constexpr std::string_view kWordMark = "\xE2\x96\x81";

// The text itself when it is valid UTF-8, else a copy in `storage` with U+FFFD for every maximal
// ill-formed part: what Python's errors="replace" and Rust's from_utf8_lossy give.
std::string_view valid_utf8(std::string_view text, std::string& storage);

// Code point at `position` of a valid text; moves `position` behind it.
UChar32 next_code_point(std::string_view text, size_t& position);
// Code point before `position` > 0 of a valid text; moves `position` to its start.
UChar32 previous_code_point(std::string_view text, size_t& position);

void append_utf8(UChar32 code_point, std::string& text);

bool is_numeric(UChar32 code_point);      // general category N, Rust's char::is_numeric
bool is_punctuation(UChar32 code_point);  // ASCII's, and general category P
bool is_word(UChar32 code_point);         // \w of Unicode's UTS 18
bool is_white_space(UChar32 code_point);  // property White_Space

}  // namespace kvbench::text
