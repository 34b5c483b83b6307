// Small questions about UTF-8 texts that more than one folder asks.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvbench {

// Code points of a valid UTF-8 text: the bytes that do not continue one.
inline int64_t count_code_points(std::string_view text) {
  int64_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

}  // namespace kvbench
