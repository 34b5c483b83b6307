#include "kernels/common/mean_direction.cuh"
#include "kernels/keydiff_scores/keydiff_scores.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kRowsOfBlock = 128;

struct InverseNorm {
  __device__ float operator()(float norm) const { return 1 / fmaxf(norm, 1e-12F); }
};

// grid [row blocks, heads]. The norms stand where the scores go.
template <class T>
__global__ void __launch_bounds__(kThreads)
    keydiff_scores_kernel(HeadRows keys, const float* anchors, int n_rows, int head_dim,
                          float* out) {
  const RowLanes<T> lanes(head_dim);
  const T* of_head = static_cast<const T*>(keys.data) + blockIdx.y * keys.head_stride;
  float* scores = out + int64_t{blockIdx.y} * n_rows;
  float anchor[RowPart<T>::kSize], squares = 0;
  lanes.load_floats(anchors + blockIdx.y * head_dim, anchor);
#pragma unroll
  for (const float x : anchor) squares += x * x;
  const float length = fmaxf(sqrtf(lanes.row_sum(squares)), 1e-8F);
  const int first = blockIdx.x * kRowsOfBlock, end = min(n_rows, first + kRowsOfBlock);
  const auto share = [&](const RowPart<T>& x) {
    float dot = 0;
#pragma unroll
    for (int i = 0; i < x.kSize; ++i) dot += x[i] * anchor[i];
    return dot;
  };
  lanes.sum_rows(of_head, keys.row_stride, first, end, share, [&](int row, float dot) {
    scores[row] = -dot / (fmaxf(scores[row], 1e-8F) * length);
  });
}

MeanDirection mean_direction(const KeydiffScores& op) {
  return {op.keys,
          static_cast<int>(op.n_heads),
          static_cast<int>(op.n_rows),
          static_cast<int>(op.head_dim),
          op.out,
          static_cast<float*>(op.workspace)};
}

}  // namespace

size_t keydiff_scores_workspace_bytes(const KeydiffScores& op) {
  return mean_direction(op).anchor_floats() * sizeof(float);
}

CudaStatus keydiff_scores_cuda(const KeydiffScores& op, CudaStream stream) {
  if (!has_packed_rows(op.keys, op.head_dim, op.dtype)) return cudaErrorInvalidValue;
  if (op.n_heads * op.n_rows == 0) return cudaSuccess;
  const MeanDirection mean = mean_direction(op);
  const dim3 grid((mean.n_rows + kRowsOfBlock - 1) / kRowsOfBlock, mean.n_heads);
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    launch_mean_direction<T>(mean, InverseNorm(), stream);
    keydiff_scores_kernel<T>
        <<<grid, kThreads, 0, stream>>>(op.keys, mean.anchors, mean.n_rows, mean.head_dim, op.out);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
