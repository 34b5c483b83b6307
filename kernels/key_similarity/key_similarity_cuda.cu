#include "kernels/common/mean_direction.cuh"
#include "kernels/common/softmax_parts.cuh"
#include "kernels/common/tile_product.cuh"
#include "kernels/key_similarity/key_similarity.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kPart = 256;  // keys of a block

__device__ float inverse(float norm) { return 1 / (norm + KeySimilarity::kNormShift); }

struct InverseNorm {
  __device__ float operator()(float norm) const { return inverse(norm); }
};

using Units = unsigned long long;

// The workspace, in this order.
struct Memory {
  Units* lost;                // [n_heads, n_rows]
  SoftmaxPart* parts;         // [n_heads, parts]
  float *norms, *directions;  // [n_heads, n_rows], MeanDirection::anchor_floats()
};

int parts_of(const KeySimilarity& op) { return static_cast<int>((op.n_rows + kPart - 1) / kPart); }

Memory memory_of(const KeySimilarity& op) {
  Memory memory;
  memory.lost = static_cast<Units*>(op.workspace);
  memory.parts = reinterpret_cast<SoftmaxPart*>(memory.lost + op.n_heads * op.n_rows);
  memory.norms = reinterpret_cast<float*>(memory.parts + op.n_heads * parts_of(op));
  memory.directions = memory.norms + op.n_heads * op.n_rows;
  return memory;
}

MeanDirection mean_direction(const KeySimilarity& op, const Memory& memory) {
  return {op.keys,
          static_cast<int>(op.n_heads),
          static_cast<int>(op.n_rows),
          static_cast<int>(op.head_dim),
          memory.norms,
          memory.directions};
}

// A column and its cosine, of which the larger is that of the larger column.
__device__ Units entry(int column, float cosine) {
  return Units{static_cast<unsigned>(column + 1)} << 32 | __float_as_uint(cosine);
}

// grid [tiles of rows, heads]: every row's last alike column, from the last tile of columns down
// until all rows have theirs.
template <class T>
__global__ void __launch_bounds__(kTileThreads)
    lost_entries_kernel(HeadRows keys, const float* norms, int n_rows, int head_dim, Units* lost) {
  using Sums = Tile<T>;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ Units parts[Sums::kParts][Sums::kHeight];
  const T* of_head = static_cast<const T*>(keys.data) + blockIdx.y * keys.head_stride;
  const float* of_norms = norms + int64_t{blockIdx.y} * n_rows;
  const int first = blockIdx.x * Sums::kHeight;
  const TileRows<T> rows = {of_head + first * keys.row_stride, keys.row_stride, n_rows - first};
  float scales[Sums::kRows];
#pragma unroll
  for (int i = 0; i < Sums::kRows; ++i) {
    const int row = first + Sums::row(i);
    scales[i] = row < n_rows ? inverse(of_norms[row]) : 0.0F;
  }
  const int n_tiles = (n_rows + kTileColumns - 1) / kTileColumns;
  const auto first_column = [&](int tile) { return (n_tiles - 1 - tile) * kTileColumns; };
  const auto columns_of = [&](int tile) {
    const int n = first_column(tile);
    return TileRows<T>{of_head + n * keys.row_stride, keys.row_stride, n_rows - n};
  };
  Units found = 0;  // of row threadIdx.x
  const auto look = [&](int tile, const Sums& products) {
    Units last[Sums::kRows] = {};
#pragma unroll
    for (int j = 0; j < Sums::kColumns; ++j) {
      const int column = first_column(tile) + Sums::column(j);
      const float scale = column < n_rows ? inverse(of_norms[column]) : 0.0F;
#pragma unroll
      for (int i = 0; i < Sums::kRows; ++i) {
        const float cosine = products.at[i][j] * scales[i] * scale;
        if (cosine > KeySimilarity::kAlike && column != first + Sums::row(i)) {
          last[i] = max(last[i], entry(column, cosine));
        }
      }
    }
    Units any = 0;
#pragma unroll
    for (const Units of_row : last) any |= of_row;
    if (__syncthreads_or(any != 0) == 0) return true;
    combine_rows<T>(last, parts, [](Units a, Units b) { return max(a, b); });
    __syncthreads();
    bool is_done = true;
    if (threadIdx.x < Sums::kHeight) {
      if (found == 0) {
        for (int part = 0; part < Sums::kParts; ++part)
          found = max(found, parts[part][threadIdx.x]);
      }
      is_done = found != 0 || first + static_cast<int>(threadIdx.x) >= n_rows;
    }
    return __syncthreads_and(is_done) == 0;
  };
  multiply_tiles<T>(shared, rows, head_dim, n_tiles, columns_of, look);
  if (found == 0) return;
  const auto column = static_cast<int64_t>(found >> 32) - 1;
  const float cosine = __uint_as_float(static_cast<unsigned>(found));
  atomicAdd(lost + int64_t{blockIdx.y} * n_rows + column,
            static_cast<Units>(cosine * KeySimilarity::kUnits));
}

// grid [parts, heads]: columns' means, to `out`, as parts of a softmax.
template <class T>
__global__ void __launch_bounds__(kThreads, /*blocks=*/4)
    column_means_kernel(MeanDirection mean, const Units* lost, SoftmaxMemory softmax) {
  __shared__ float logits[kPart];
  const int h = blockIdx.y, n_rows = mean.n_rows;
  const RowLanes<T> lanes(mean.head_dim);
  const T* keys = static_cast<const T*>(mean.rows.data) + h * mean.rows.head_stride;
  const int first = blockIdx.x * kPart, end = min(n_rows, first + kPart);
  float anchor[RowPart<T>::kSize];
#pragma unroll
  for (int i = 0; i < RowPart<T>::kSize; ++i) {
    anchor[i] = lanes.has(i) ? mean.anchors[h * mean.head_dim + lanes.column(i)] : 0.0F;
  }
  const auto share = [&](const RowPart<T>& x) {
    float dot = 0;
#pragma unroll
    for (int i = 0; i < x.kSize; ++i) dot += x[i] * anchor[i];
    return dot;
  };
  lanes.sum_rows(keys, mean.rows.row_stride, first, end, share, [&](int row, float dot) {
    const int64_t index = int64_t{h} * n_rows + row;
    const float norm = mean.norms[index], scale = inverse(norm);
    const float less =
        norm * scale * norm * scale + static_cast<float>(lost[index]) / KeySimilarity::kUnits;
    logits[row - first] = dot * scale - less / static_cast<float>(n_rows);
  });
  __syncthreads();
  if (threadIdx.x < kWarp) {
    store_part(logits, end - first, softmax.row(h) + first, softmax.parts_of(h) + blockIdx.x);
  }
}

// grid [parts, heads]
__global__ void __launch_bounds__(kThreads) weigh_kernel(SoftmaxMemory softmax) {
  __shared__ SoftmaxPart whole;
  combine_rows_of_parts(softmax, blockIdx.y, 1, &whole);
  const int j = blockIdx.x * kPart + threadIdx.x;
  if (j < softmax.n_logits) {
    softmax.row(blockIdx.y)[j] = softmax_weight(softmax.row(blockIdx.y)[j], whole);
  }
}

}  // namespace

size_t key_similarity_workspace_bytes(const KeySimilarity& op) {
  return op.n_heads * op.n_rows * (sizeof(Units) + sizeof(float)) +
         op.n_heads * parts_of(op) * sizeof(SoftmaxPart) +
         mean_direction(op, Memory()).anchor_floats() * sizeof(float);
}

CudaStatus key_similarity_cuda(const KeySimilarity& op, CudaStream stream) {
  if (!has_packed_rows(op.keys, op.head_dim, op.dtype)) return cudaErrorInvalidValue;
  if (op.n_heads * op.n_rows == 0) return cudaSuccess;
  const Memory memory = memory_of(op);
  const MeanDirection mean = mean_direction(op, memory);
  const SoftmaxMemory softmax = {op.out, memory.parts, mean.n_rows, parts_of(op)};
  const dim3 parts(softmax.n_parts, mean.n_heads);
  cudaMemsetAsync(memory.lost, 0, op.n_heads * op.n_rows * sizeof(Units), stream);
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    launch_mean_direction<T>(mean, InverseNorm(), stream);
    constexpr int kHeight = Tile<T>::kHeight;
    const dim3 tiles((mean.n_rows + kHeight - 1) / kHeight, mean.n_heads);
    const size_t shared = tile_bytes<T>(mean.head_dim);
    allow_shared(lost_entries_kernel<T>, shared);
    lost_entries_kernel<T><<<tiles, kTileThreads, shared, stream>>>(
        op.keys, mean.norms, mean.n_rows, mean.head_dim, memory.lost);
    column_means_kernel<T><<<parts, kThreads, 0, stream>>>(mean, memory.lost, softmax);
  });
  weigh_kernel<<<parts, kThreads, 0, stream>>>(softmax);
  return cudaGetLastError();
}

}  // namespace kvbench
