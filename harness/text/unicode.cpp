#include "harness/text/unicode.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstring>

#include "harness/base/error.h"

namespace kvbench::text {
namespace {

// ICU's UTF-8 macros take int32 offsets; texts beyond that are read in a window.
constexpr size_t kWindow = 8;

// Bytes of ASCII that the text begins with, in steps of a machine word.
size_t ascii_run(std::string_view text) {
  size_t length = 0;
  for (uint64_t word = 0; length + sizeof word <= text.size(); length += sizeof word) {
    std::memcpy(&word, text.data() + length, sizeof word);
    if ((word & 0x8080808080808080) != 0) break;
  }
  return length;
}

const uint8_t* bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace

std::string_view valid_utf8(std::string_view text, std::string& storage) {
  size_t position = 0;
  Utf8Part part{0, true};
  for (; position < text.size(); position += part.length) {
    position += ascii_run(text.substr(position));
    if (position == text.size()) break;
    part = utf8_part(text, position);
    if (!part.valid) break;
  }
  if (position == text.size()) return text;
  storage.assign(text.substr(0, position));
  for (; position < text.size(); position += part.length) {
    part = utf8_part(text, position);
    storage += part.valid ? text.substr(position, part.length) : "\xEF\xBF\xBD";
  }
  return storage;
}

UChar32 next_code_point(std::string_view text, size_t& position) {
  const auto first = static_cast<unsigned char>(text[position]);
  if (first < 0x80) {
    ++position;
    return first;
  }
  const std::string_view window = text.substr(position, kWindow);
  const uint8_t* s = bytes(window);
  const auto length = static_cast<int32_t>(window.size());
  int32_t i = 0;
  UChar32 c = 0;
  U8_NEXT(s, i, length, c);
  position += static_cast<size_t>(i);
  KVB_CHECK(c >= 0, "ill-formed UTF-8 at byte {}", position);
  return c;
}

UChar32 previous_code_point(std::string_view text, size_t& position) {
  do {
    --position;
  } while (position > 0 && (static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  size_t end = position;
  return next_code_point(text, end);
}

void append_utf8(UChar32 code_point, std::string& text) {
  uint8_t buffer[U8_MAX_LENGTH];
  int32_t length = 0;
  U8_APPEND_UNSAFE(buffer, length, code_point);
  text.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}

bool is_numeric(UChar32 code_point) { return (U_GET_GC_MASK(code_point) & U_GC_N_MASK) != 0; }

bool is_punctuation(UChar32 code_point) {
  return (code_point < 0x80 && u_isgraph(code_point) && !u_isalnum(code_point)) ||
         (U_GET_GC_MASK(code_point) & U_GC_P_MASK) != 0;
}

bool is_word(UChar32 code_point) {
  return (U_GET_GC_MASK(code_point) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0 ||
         u_hasBinaryProperty(code_point, UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(code_point, UCHAR_JOIN_CONTROL);
}

bool is_white_space(UChar32 code_point) {
  return u_hasBinaryProperty(code_point, UCHAR_WHITE_SPACE);
}

}  // namespace kvbench::text
