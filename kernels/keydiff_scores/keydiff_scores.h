// KeyDiff's scores (Park et al. 2025, arXiv 2504.15364): how little a key points where the mean of
// all keys' directions does.
//
//   a = mean_t k_t / max(||k_t||, 1e-12)
//   out[h, t] = -(k_t . a) / (max(||k_t||, 1e-8) max(||a||, 1e-8))
//
// as torch.nn.functional.normalize and cosine_similarity bound them. Keys are read twice.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct KeydiffScores {
  int64_t n_heads = 0, n_rows = 0, head_dim = 0;
  DType dtype = DType::kFloat32;
  HeadRows keys;              // after RoPE
  float* out = nullptr;       // [n_heads, n_rows]
  void* workspace = nullptr;  // CUDA: keydiff_scores_workspace_bytes() of it
};

// Sums in double.
void keydiff_scores_reference(const KeydiffScores& op);

// The result does not depend on the number of threads.
void keydiff_scores_cpu(const KeydiffScores& op);

// head_dim: a multiple of 8 up to 256.
size_t keydiff_scores_workspace_bytes(const KeydiffScores& op);
CudaStatus keydiff_scores_cuda(const KeydiffScores& op, CudaStream stream);

}  // namespace kvbench
