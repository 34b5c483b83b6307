// Small questions about UTF-8 texts that more than one folder asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvbench {

// What begins at `text[i]`: a well-formed sequence, or the longest start of one, which Unicode (and
// Python's errors="replace") takes for one error. Its length is at least 1.
struct Utf8Part {
  size_t length;
  bool valid;
};
Utf8Part utf8_part(std::string_view text, size_t i);

bool is_valid_utf8(std::string_view text);

inline bool continues_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

// Code points of a valid UTF-8 text: the bytes that do not continue one.
inline int64_t count_code_points(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += continues_character(byte) ? 0 : 1;
  return count;
}

// The nearest places up to `at` and from it on where a text is cut between two characters; its ends
// are such places.
inline size_t cut_before(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && continues_character(text[at])) --at;
  return at;
}
inline size_t cut_behind(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && continues_character(text[at])) ++at;
  return at;
}

}  // namespace kvbench
