// Tiles of values times W_O, of which only the norms' sums stay.
#include "kernels/common/row_lanes.cuh"
#include "kernels/common/tile_product.cuh"
#include "kernels/projected_value_norms/projected_value_norms.h"

namespace kvbench {
namespace {

// grid [tiles of rows, query heads or, with p = 1, KV heads].
template <class T, int kP>
__global__ void __launch_bounds__(kTileThreads)
    projected_value_norms_kernel(HeadRows values, const T* weight, int group, int64_t weight_stride,
                                 int n_rows, int head_dim, int hidden, float* out) {
  using Sums = Tile<T>;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ float parts[Sums::kParts][Sums::kHeight];
  const int n_query_heads = kP == 1 ? group : 1, first_query_head = blockIdx.y * n_query_heads;
  const int first = blockIdx.x * Sums::kHeight;
  const TileRows<T> of_values = {static_cast<const T*>(values.data) +
                                     first_query_head / group * values.head_stride +
                                     first * values.row_stride,
                                 values.row_stride, n_rows - first};
  const int tiles_of_head = (hidden + kTileColumns - 1) / kTileColumns;
  const auto of_weight = [&](int tile) {
    const int q = first_query_head + tile / tiles_of_head, n = tile % tiles_of_head * kTileColumns;
    return TileRows<T>{weight + n * weight_stride + q * head_dim, weight_stride, hidden - n};
  };
  float sums[Sums::kRows] = {};
  const auto add = [&](int, const Sums& projected) {
#pragma unroll
    for (int i = 0; i < Sums::kRows; ++i) {
#pragma unroll
      for (int j = 0; j < Sums::kColumns; ++j) {
        const float y = projected.at[i][j];
        sums[i] += kP == 1 ? fabsf(y) : y * y;
      }
    }
    return true;
  };
  multiply_tiles<T>(shared, of_values, head_dim, n_query_heads * tiles_of_head, of_weight, add);
  combine_rows<T>(sums, parts, [](float a, float b) { return a + b; });
  __syncthreads();
  const int row = threadIdx.x;
  if (row >= Sums::kHeight || first + row >= n_rows) return;
  float sum = 0;
  for (int part = 0; part < Sums::kParts; ++part) sum += parts[part][row];
  out[int64_t{blockIdx.y} * n_rows + first + row] =
      kP == 1 ? sum / static_cast<float>(group) : sqrtf(sum);
}

template <class T, int kP>
void launch(const ProjectedValueNorms& op, CudaStream stream) {
  constexpr int kHeight = Tile<T>::kHeight;
  const dim3 grid((op.n_rows + kHeight - 1) / kHeight, kP == 1 ? op.n_heads : op.n_query_heads);
  const size_t shared = tile_bytes<T>(static_cast<int>(op.head_dim));
  allow_shared(projected_value_norms_kernel<T, kP>, shared);
  projected_value_norms_kernel<T, kP><<<grid, kTileThreads, shared, stream>>>(
      op.values, static_cast<const T*>(op.output_weight),
      static_cast<int>(op.n_query_heads / op.n_heads), op.n_query_heads * op.head_dim,
      static_cast<int>(op.n_rows), static_cast<int>(op.head_dim), static_cast<int>(op.hidden),
      op.out);
}

}  // namespace

CudaStatus projected_value_norms_cuda(const ProjectedValueNorms& op, CudaStream stream) {
  if ((op.p != 1 && op.p != 2) || !has_packed_rows(op.values, op.head_dim, op.dtype) ||
      !are_aligned(op.output_weight)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_heads * op.n_rows == 0) return cudaSuccess;
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    op.p == 1 ? launch<T, 1>(op, stream) : launch<T, 2>(op, stream);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
