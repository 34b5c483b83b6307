#include "kernels/common/group_logits.cuh"
#include "kernels/common/tile_product.cuh"
#include "kernels/expected_attention_scores/expected_attention_scores.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kRowsOfBlock = 256;

struct Sizes {
  int n_rows, n_sink, first, head_dim, group;
};

// Tokens of a part of the softmax: those of a block's tile, or of a group's block.
int part_of(const ExpectedAttentionScores& op) {
  return op.quadratic == nullptr ? GroupLogits::kPart : Tile<float>::kHeight;
}

// grid [tiles of tokens, query heads]: the quadratic form in float32, a tile of quadratic k at a
// time, each of which is multiplied by k at once.
template <class T>
__global__ void __launch_bounds__(kTileThreads)
    quadratic_logits_kernel(HeadRows keys, const float* linear, const float* quadratic, Sizes sizes,
                            SoftmaxMemory softmax) {
  using Sums = Tile<float>;
  extern __shared__ __align__(16) unsigned char shared[];
  __shared__ float logits[Sums::kParts][Sums::kHeight];
  const int q = blockIdx.y, d = sizes.head_dim, first = blockIdx.x * Sums::kHeight;
  const int count = min(Sums::kHeight, softmax.n_logits - first);
  const TileRows<T> of_keys = {static_cast<const T*>(keys.data) +
                                   q / sizes.group * keys.head_stride +
                                   (sizes.first + first) * keys.row_stride,
                               keys.row_stride, count};
  const auto of_matrix = [&](int tile) {
    const int n = tile * kTileColumns;
    return TileRows<float>{quadratic + (int64_t{q} * d + n) * d, d, d - n};
  };
  float z[Sums::kRows] = {};
  const auto add = [&](int tile, const Sums& y) {
#pragma unroll
    for (int j = 0; j < Sums::kColumns; ++j) {
      const int column = tile * kTileColumns + Sums::column(j);
      if (column >= d) continue;
      const float mean = linear[q * d + column];
#pragma unroll
      for (int i = 0; i < Sums::kRows; ++i) {
        const int row = Sums::row(i);
        if (row < count) {
          z[i] += (y.at[i][j] + mean) * to_float(of_keys.data[row * of_keys.stride + column]);
        }
      }
    }
    return true;
  };
  multiply_tiles<float>(shared, of_keys, d, (d + kTileColumns - 1) / kTileColumns, of_matrix, add);
  combine_rows<float>(z, logits, [](float a, float b) { return a + b; });
  __syncthreads();
  if (threadIdx.x < kWarp) {
    store_part(logits[0], count, softmax.row(q) + first, softmax.parts_of(q) + blockIdx.x);
  }
}

// grid [row blocks, KV heads]: the group's mean, weighed by the values' norms.
template <class T, bool kNorm>
__global__ void __launch_bounds__(kThreads)
    expected_attention_kernel(HeadRows values, Sizes sizes, SoftmaxMemory softmax, float eps,
                              float* out) {
  extern __shared__ SoftmaxPart of_queries[];
  __shared__ float means[kRowsOfBlock];
  const int n_ranked = sizes.n_rows - sizes.n_sink, first_query = blockIdx.y * sizes.group;
  const int first = blockIdx.x * kRowsOfBlock, end = min(n_ranked, first + kRowsOfBlock);
  float* scores = out + int64_t{blockIdx.y} * n_ranked;
  combine_rows_of_parts(softmax, first_query, sizes.group, of_queries);
  const int token = first + threadIdx.x;
  float mean = 0;
  if (token < end) {
    for (int g = 0; g < sizes.group; ++g) {
      mean += softmax_weight(softmax.row(first_query + g)[sizes.n_sink - sizes.first + token],
                             of_queries[g]);
    }
    mean /= static_cast<float>(sizes.group);
    if (!kNorm) scores[token] = mean;
  }
  if constexpr (kNorm) {
    means[threadIdx.x] = mean;
    __syncthreads();
    const RowLanes<T> lanes(sizes.head_dim);
    const T* of_head = static_cast<const T*>(values.data) + blockIdx.y * values.head_stride +
                       sizes.n_sink * values.row_stride;
    const auto share = [](const RowPart<T>& x) {
      float squares = 0;
#pragma unroll
      for (int i = 0; i < x.kSize; ++i) squares += x[i] * x[i];
      return squares;
    };
    lanes.sum_rows(of_head, values.row_stride, first, end, share, [&](int row, float squares) {
      scores[row] = (means[row - first] + eps) * sqrtf(squares);
    });
  }
}

template <class T>
void launch(const ExpectedAttentionScores& op, const GroupLogits& linear, CudaStream stream) {
  const SoftmaxMemory& softmax = linear.memory;
  const Sizes sizes = {static_cast<int>(op.n_rows), static_cast<int>(op.n_sink),
                       static_cast<int>(op.first()), linear.head_dim, linear.group};
  if (op.quadratic == nullptr) {
    launch_group_logits<T>(linear, op.linear, stream);
  } else {
    const size_t shared = tile_bytes<float>(sizes.head_dim);
    allow_shared(quadratic_logits_kernel<T>, shared);
    quadratic_logits_kernel<T>
        <<<dim3(softmax.n_parts, op.n_query_heads), kTileThreads, shared, stream>>>(
            op.keys, op.linear, op.quadratic, sizes, softmax);
  }
  const int64_t n_ranked = op.n_rows - op.n_sink;
  const dim3 grid((n_ranked + kRowsOfBlock - 1) / kRowsOfBlock, op.n_heads);
  const size_t shared = linear.group * sizeof(SoftmaxPart);
  if (op.use_vnorm) {
    expected_attention_kernel<T, true>
        <<<grid, kThreads, shared, stream>>>(op.values, sizes, softmax, op.eps, op.out);
  } else {
    expected_attention_kernel<T, false>
        <<<grid, kThreads, shared, stream>>>(op.values, sizes, softmax, op.eps, op.out);
  }
}

}  // namespace

size_t expected_attention_scores_workspace_bytes(const ExpectedAttentionScores& op) {
  return softmax_bytes(op.n_query_heads, op.n_rows - op.first(), part_of(op));
}

CudaStatus expected_attention_scores_cuda(const ExpectedAttentionScores& op, CudaStream stream) {
  if (!has_packed_rows(op.keys, op.head_dim, op.dtype) ||
      (op.use_vnorm && !has_packed_rows(op.values, op.head_dim, op.dtype)) ||
      !are_aligned(op.quadratic) || op.n_sink >= op.n_rows) {
    return cudaErrorInvalidValue;
  }
  const int64_t n = op.n_rows - op.first();
  GroupLogits linear = {op.keys,
                        static_cast<int>(op.n_heads),
                        static_cast<int>(op.n_query_heads / op.n_heads),
                        static_cast<int>(n),
                        static_cast<int>(op.head_dim),
                        1,
                        softmax_memory(op.workspace, op.n_query_heads, n, part_of(op))};
  linear.keys.data = static_cast<const char*>(op.keys.data) +
                     op.first() * op.keys.row_stride * element_bytes(op.dtype);
  if (!fits(linear)) return cudaErrorInvalidValue;
  with_cuda_element(op.dtype, [&](auto element) { launch<decltype(element)>(op, linear, stream); });
  return cudaGetLastError();
}

}  // namespace kvbench
