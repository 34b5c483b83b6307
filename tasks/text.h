// Text as the benchmarks' Python code sees it: whitespace by Unicode, positions in code points.
// All texts are UTF-8.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/base/text.h"

namespace kvbench {

// What Python's str.isspace, str.strip and the regular expression \s take for whitespace.
bool is_python_space(int32_t code_point);

// The code points of a text, U+FFFD for what is not UTF-8; and back.
std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);

// Lower case by the full Unicode mapping, without a locale: str.lower.
std::u32string python_lower(std::string_view text);

// str.strip(): without whitespace at both ends.
std::u32string_view strip_spaces(std::u32string_view text);

// str.split(): the parts between runs of whitespace.
std::vector<std::u32string> split_at_spaces(std::u32string_view text);

// str.lstrip() and str.rstrip().
std::string strip_start(std::string_view text);
std::string strip_end(std::string_view text);

// Every run of whitespace becomes one blank: re.sub(r"\s+", " ", text).
std::string collapse_spaces(std::string_view text);

// Every occurrence of `from` (not empty), left to right.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

// Each `{name}` of the template becomes its value; one pass, so values may hold braces.
// std::logic_error for a name without value.
std::string fill_template(std::string_view text,
                          const std::vector<std::pair<std::string_view, std::string_view>>& values);

// Sorted by bytes, each text once.
void sort_distinct(std::vector<std::string>& texts);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

// The text cut at `separator` only; a last line without it counts, an empty rest does not.
std::vector<std::string_view> split_lines(std::string_view text, char separator = '\n');

}  // namespace kvbench
