// How much the other keys resemble a key: the redundancy that G-KV and R-KV rank down.
//
//   C[i, j] = k_i . k_j / ((||k_i|| + 1e-6) (||k_j|| + 1e-6)), C[i, i] = 0
//   last(i) = the largest j with C[i, j] > 0.5; C[i, last(i)] = 0 where there is one
//   out[h, j] = softmax over j of (sum over the rows i of C[i, j]) / n_rows
//
// as microsoft/G-KV@6db3b2e has it by default, gkv/utils/compression_score.py:74-266 (triton). Its
// other form, copied from R-KV, differs: 1e-8, and a row with nothing alike loses entry 0.
//
// C is never stored, nor made as a whole. A column's sum is k_j's product with the sum of all
// directions, less itself and the entries that are lost; these are looked for from the last key
// down, until every row of a block has found its own.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct KeySimilarity {
  static constexpr float kNormShift = 1e-6F, kAlike = 0.5F;
  // Entries that are lost, between 0.5 and a little above 1, are whole multiples of 2^-24: as such
  // their sums are exact, and do not depend on the order.
  static constexpr float kUnits = 0x1p24F;

  int64_t n_heads = 0, n_rows = 0, head_dim = 0;
  DType dtype = DType::kFloat32;
  HeadRows keys;
  float* out = nullptr;       // [n_heads, n_rows]
  void* workspace = nullptr;  // CUDA: key_similarity_workspace_bytes() of it
};

// All of C, in double.
void key_similarity_reference(const KeySimilarity& op);

// The result does not depend on the number of threads.
void key_similarity_cpu(const KeySimilarity& op);

// head_dim: a multiple of 8 up to 256.
size_t key_similarity_workspace_bytes(const KeySimilarity& op);
CudaStatus key_similarity_cuda(const KeySimilarity& op, CudaStream stream);

}  // namespace kvbench
