#include "harness/text/byte_level.h"

#include <array>

#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

struct Tables {
  std::array<std::string, 256> character;  // of a byte, UTF-8
  std::array<int, 0x180> byte_of;          // of a code point, -1 = none

  Tables() {
    byte_of.fill(-1);
    UChar32 stand_in = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      const UChar32 c = printable ? b : stand_in++;
      append_utf8(c, character[static_cast<size_t>(b)]);
      byte_of[static_cast<size_t>(c)] = b;
    }
  }
};

const Tables& tables() {
  static const Tables instance;
  return instance;
}

}  // namespace

std::string to_byte_level(std::string_view text) {
  const Tables& t = tables();
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) out += t.character[static_cast<unsigned char>(c)];
  return out;
}

void append_from_byte_level(std::string_view token, std::string& bytes) {
  const Tables& t = tables();
  const size_t before = bytes.size();
  for (size_t i = 0; i < token.size();) {
    const auto c = static_cast<size_t>(next_code_point(token, i));
    if (c >= t.byte_of.size() || t.byte_of[c] < 0) {
      bytes.resize(before);
      bytes += token;
      return;
    }
    bytes += static_cast<char>(t.byte_of[c]);
  }
}

}  // namespace kvbench::text
