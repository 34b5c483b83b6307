#include "harness/base/text.h"

namespace kvbench {

Utf8Part utf8_part(std::string_view text, size_t i) {
  const auto byte = [&](size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const unsigned first = byte(i);
  if (first < 0x80) return {1, true};
  const size_t length = first < 0xC2 || first > 0xF4 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  // Overlong forms, surrogates, and code points above U+10FFFF show in the second byte.
  const unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  size_t k = 1;
  if (length > 1 && byte(i + 1) >= low && byte(i + 1) <= high) {
    for (k = 2; k < length && (byte(i + k) & 0xC0) == 0x80;) ++k;
  }
  return {k, length > 1 && k == length};
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Utf8Part part = utf8_part(text, i);
    if (!part.valid) return false;
    i += part.length;
  }
  return true;
}

}  // namespace kvbench
