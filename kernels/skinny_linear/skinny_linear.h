// A projection of few rows: the products of decode steps, of questions, and of the last token with
// the output head.
//
//   out[r, n] = sum_k x[r, k] weight[n, k] + bias[n]
//
// Every sum has one order, that of its own row: an answer does not depend on how many rows stand
// beside it nor on the number of threads, which libraries do not promise.
#pragma once

#include "kernels/common/ragged_cache.h"

namespace kvbench {

struct SkinnyLinear {
  int64_t n_rows = 0, n_in = 0, n_out = 0;
  DType dtype = DType::kFloat32;  // of all; sums are float
  const void* x = nullptr;        // [n_rows, n_in] contiguous
  const void* weight = nullptr;   // [n_out, n_in] contiguous
  const void* bias = nullptr;     // [n_out], or nullptr
  void* out = nullptr;            // [n_rows, n_out]
};

// Plain loops, every sum in double.
void skinny_linear_reference(const SkinnyLinear& op);

// Threaded (OpenMP) over the outputs and vectorised: the weight is read once from memory.
void skinny_linear_cpu(const SkinnyLinear& op);

// Whether on this machine it beats LibTorch's product of many rows, too: float32 on an AMD processor
// with AVX-512, where MKL keeps to AVX2 (skinny_linear_bench.cpp).
bool skinny_linear_suits_many_rows(DType dtype);

}  // namespace kvbench
