// The mean of rows' directions, in two kernels: sums of blocks of rows, and their sum in order.
#pragma once

#include "kernels/common/row_lanes.cuh"

namespace kvbench {

struct MeanDirection {
  static constexpr int kThreads = 256, kRowsOfBlock = 256;

  HeadRows rows;
  int n_heads, n_rows, head_dim;
  float* norms;    // [n_heads, n_rows]
  float* anchors;  // [n_heads, head_dim], and behind them the sums of blocks

  __host__ __device__ int n_blocks() const { return (n_rows + kRowsOfBlock - 1) / kRowsOfBlock; }
  __host__ __device__ float* partial() const { return anchors + n_heads * head_dim; }
  size_t anchor_floats() const { return size_t{1} * n_heads * head_dim * (1 + n_blocks()); }
};

// grid [blocks of rows, heads]. inverse(norm): what a row is multiplied by before it is added.
template <class T, class Inverse>
__global__ void __launch_bounds__(MeanDirection::kThreads)
    sum_directions_kernel(MeanDirection op, Inverse inverse) {
  constexpr int kWarps = MeanDirection::kThreads / kWarp, kSize = RowPart<T>::kSize;
  __shared__ float of_warps[kWarps][kMaxHeadDim];
  const RowLanes<T> lanes(op.head_dim);
  const T* rows = static_cast<const T*>(op.rows.data) + blockIdx.y * op.rows.head_stride;
  float* norms = op.norms + int64_t{blockIdx.y} * op.n_rows;
  const int first = blockIdx.x * op.kRowsOfBlock, end = min(op.n_rows, first + op.kRowsOfBlock);
  float sums[kSize] = {};
  const auto add = [&](int row, const RowPart<T>* parts) {
#pragma unroll
    for (int a = 0; a < lanes.kAhead; ++a) {
      float squares = 0;
#pragma unroll
      for (int i = 0; i < kSize; ++i) squares += parts[a][i] * parts[a][i];
      const float norm = sqrtf(lanes.row_sum(squares)), scale = inverse(norm);
#pragma unroll
      for (int i = 0; i < kSize; ++i) sums[i] += parts[a][i] * scale;
      const int of_part = row + a * lanes.rows_of_warp();
      if (of_part < end && lanes.is_first()) norms[of_part] = norm;
    }
  };
  lanes.for_rows(rows, op.rows.row_stride, first, end, add);
#pragma unroll
  for (int i = 0; i < kSize; ++i) {
    const float sum = lanes.sum_over_rows(sums[i]);
    if (lanes.row_of_lane() == 0 && lanes.has(i)) {
      of_warps[threadIdx.x / kWarp][lanes.column(i)] = sum;
    }
  }
  __syncthreads();
  for (int c = threadIdx.x; c < op.head_dim; c += op.kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += of_warps[w][c];
    op.partial()[(blockIdx.y * gridDim.x + blockIdx.x) * op.head_dim + c] = sum;
  }
}

// grid [heads].
static __global__ void __launch_bounds__(kMaxHeadDim) mean_direction_kernel(MeanDirection op) {
  const int h = blockIdx.x, c = threadIdx.x, n_blocks = op.n_blocks();
  if (c >= op.head_dim) return;
  float sum = 0;
  for (int b = 0; b < n_blocks; ++b) sum += op.partial()[(h * n_blocks + b) * op.head_dim + c];
  op.anchors[h * op.head_dim + c] = sum / static_cast<float>(op.n_rows);
}

template <class T, class Inverse>
void launch_mean_direction(const MeanDirection& op, Inverse inverse, cudaStream_t stream) {
  sum_directions_kernel<T>
      <<<dim3(op.n_blocks(), op.n_heads), op.kThreads, 0, stream>>>(op, inverse);
  mean_direction_kernel<<<op.n_heads, kMaxHeadDim, 0, stream>>>(op);
}

}  // namespace kvbench
