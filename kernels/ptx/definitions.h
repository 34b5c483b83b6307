// A second definition of every typed opcode of arithmetic that the engine knows: integers of 128
// bits, bits one by one, floats rounded by hand (exact_floats.h).
#pragma once

#include <cstdint>
#include <string>

namespace kvbench::ptx {

using Int = __int128;

uint64_t low_bits(uint64_t x, int bits);
// Of the low bits.
Int integer(uint64_t x, int bits, bool is_signed);

struct Expected {
  uint64_t bits = 0;
  double tolerance = 0;    // relative, of approximations
  bool undefined = false;  // PTX leaves it open for these operands
};

// Throws std::logic_error where there is no second definition.
Expected expected(const std::string& opcode, const uint64_t (&x)[4]);

// Whether what the engine got is that.
bool alike(const std::string& opcode, uint64_t got, const Expected& want);

}  // namespace kvbench::ptx
