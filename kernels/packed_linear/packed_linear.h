// A projection with a weight that lies as the processor multiplies it:
//
//   out[r, n] = sum_k x[r, k] weight[n, k] + bias[n]
//
// A float32 weight whose numbers are all of bfloat16, as those of most models' files are, is packed
// as bfloat16: half the bytes to read, the same products to the bit.
//
// Every sum has one order, that of its own row: an answer does not depend on how many rows stand
// beside it nor on the number of threads, which libraries do not promise.
#pragma once

#include "kernels/common/ragged_cache.h"

namespace kvbench {

// How a packed weight lies: [n_panels, kPanel / n_side, n_in_padded / n_together, n_side,
// n_together]. A panel is kPanel outputs, zeros past the last; n_side outputs are in registers at a
// time, so that a pass over the inputs reads bytes in a row; n_together inputs are multiplied by
// read together. This machine's, so nothing to store in a file.
struct PackedForm {
  static constexpr int64_t kPanel = 64;

  explicit PackedForm(DType dtype);  // of the packed weight
  int64_t padded(int64_t n_in) const { return (n_in + n_together - 1) / n_together * n_together; }
  static int64_t n_panels(int64_t n_out) { return (n_out + kPanel - 1) / kPanel; }
  // Of weight[n, k] among the elements.
  int64_t place(int64_t n_in, int64_t n, int64_t k) const {
    const int64_t row = n / n_side * (padded(n_in) / n_together) + k / n_together;
    return (row * n_side + n % n_side) * n_together + k % n_together;
  }

  int64_t n_together, n_side;
};

struct PackedLinear {
  int64_t n_rows = 0, n_in = 0, n_out = 0;
  DType dtype = DType::kFloat32;         // of all but the weight; sums are float
  DType weight_dtype = DType::kFloat32;  // the same, or bfloat16 with float32
  const void* x = nullptr;               // [n_rows, n_in] contiguous
  const void* weight = nullptr;          // packed, aligned to 64 bytes
  const void* bias = nullptr;            // [n_out], or nullptr
  void* out = nullptr;                   // [n_rows, n_out]
};

// Plain loops, every sum in double.
void packed_linear_reference(const PackedLinear& op);

// Threaded (OpenMP) and vectorised: of few rows the weight is read once from memory.
void packed_linear_cpu(const PackedLinear& op);

// As what a weight of n numbers is packed.
DType packed_dtype(const void* weight, int64_t n, DType dtype);

// weight [n_out, n_in] -> packed, of n_panels * kPanel * padded(n_in) elements of that dtype.
void pack_weight_cpu(const void* weight, int64_t n_out, int64_t n_in, DType dtype, DType packed_as,
                     void* packed);

// The rows ids[0 .. n - 1] of the weight, each in [0, n_out): out [n, n_in] of `dtype`.
void packed_rows_cpu(const void* packed, int64_t n_in, DType packed_as, const int64_t* ids,
                     int64_t n, DType dtype, void* out);

}  // namespace kvbench
