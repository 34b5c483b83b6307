// Tensor-core instructions on 16-bit floats, with the layouts of the PTX manual's figures.
#include <bit>

#include "kernels/ptx/machine.h"
#include "kernels/ptx/number.h"

namespace kvbench::ptx {
namespace {

double number(uint8_t type, uint16_t bits) {
  return type == kF16 ? static_cast<double>(F16{bits}) : static_cast<double>(BF16{bits});
}

// Half `n` of a lane's register.
uint16_t half(const Warp& w, uint16_t slot, int lane, int n) {
  return static_cast<uint16_t>(w.at<uint32_t>(slot)[lane] >> (16 * n));
}

}  // namespace

// Lane l names row l % 8 of matrix l / 8; each lane then gets two neighbours of each matrix's row
// (mode 1: column) lane / 4.
void run_load_matrix(Warp& w, const Instruction& i, uint32_t mask) {
  Request request;
  request.space = Space::kShared;
  request.bytes = 16;
  request.mask = i.parts == 4 ? kAll : (1U << (8 * i.parts)) - 1;
  for (int l = 0; l < kLanes; ++l) {
    const uint64_t base =
        i.address_bytes == 4 ? w.at<uint32_t>(i.address)[l] : w.at<uint64_t>(i.address)[l];
    request.address[l] = base + static_cast<uint64_t>(i.offset);
  }
  if (mask != kAll) {
    w.machine->report("warp operation of a part of the warp", w, std::countr_zero(mask),
                      "ldmatrix wants all lanes");
    throw Stop{};
  }
  w.machine->access(w, request);
  uint16_t matrix[4][8][8];
  for (int n = 0; n < i.parts; ++n) {
    for (int row = 0; row < 8; ++row) {
      const uint8_t* from = request.pointer[8 * n + row];
      if (from == nullptr) {
        std::memset(matrix[n][row], 0xff, 16);
      } else {
        std::memcpy(matrix[n][row], from, 16);
      }
    }
  }
  for (int n = 0; n < i.parts; ++n) {
    for (int l = 0; l < kLanes; ++l) {
      const int row = l / 4, column = l % 4 * 2;
      const uint16_t low = i.mode == 1 ? matrix[n][column][row] : matrix[n][row][column];
      const uint16_t high = i.mode == 1 ? matrix[n][column + 1][row] : matrix[n][row][column + 1];
      w.at<uint32_t>(i.r[static_cast<size_t>(n)])[l] = static_cast<uint32_t>(high) << 16 | low;
    }
  }
}

// d[16, 8] = a[16, k] b[k, 8] + c. Sums in double, rounded once: no order is promised.
void run_mma(Warp& w, const Instruction& i, uint32_t mask) {
  if (mask != kAll) {
    w.machine->report("warp operation of a part of the warp", w, std::countr_zero(mask),
                      "mma wants all lanes");
    throw Stop{};
  }
  const int depth = i.parts;
  const bool wide = i.register_bytes == 4;  // c and d in float32
  const size_t n_a = depth / 4, n_b = depth / 8, n_d = wide ? 4 : 2;
  double a[16][16], b[16][8];
  for (int l = 0; l < kLanes; ++l) {
    const int group = l / 4, pair = l % 4 * 2;
    for (size_t r = 0; r < n_a; ++r) {
      for (int n = 0; n < 2; ++n) {
        a[group + 8 * (r % 2)][pair + n + 8 * (r / 2)] =
            number(i.mode, half(w, i.r[n_d + r], l, n));
      }
    }
    for (size_t r = 0; r < n_b; ++r) {
      for (int n = 0; n < 2; ++n) {
        b[pair + n + 8 * r][group] = number(i.mode, half(w, i.r[n_d + n_a + r], l, n));
      }
    }
  }
  uint32_t result[4][kLanes];
  for (int l = 0; l < kLanes; ++l) {
    for (int e = 0; e < 4; ++e) {
      const int row = l / 4 + 8 * (e / 2), column = l % 4 * 2 + e % 2;
      const uint16_t c_slot = i.r[n_d + n_a + n_b + static_cast<size_t>(wide ? e : e / 2)];
      double sum = wide ? static_cast<double>(w.at<float>(c_slot)[l])
                        : static_cast<double>(F16{half(w, c_slot, l, e % 2)});
      for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
      if (wide) {
        result[e][l] = std::bit_cast<uint32_t>(static_cast<float>(sum));
      } else {
        uint32_t& pair = result[e / 2][l];
        const uint32_t bits = F16::from(sum).bits;
        pair = e % 2 == 0 ? bits : pair | bits << 16;
      }
    }
  }
  for (size_t r = 0; r < n_d; ++r) {
    std::memcpy(w.at<uint32_t>(i.r[r]), result[r], sizeof result[r]);
  }
}

}  // namespace kvbench::ptx
