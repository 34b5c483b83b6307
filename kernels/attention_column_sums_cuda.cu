// Two passes over the keys: one finds each query's largest logit and the sum of its weights, one
// sums the weights for each key. Both compute the logits, tile by tile, and store none.
#include <cfloat>

#include "kernels/attention_column_sums.h"
#include "kernels/cuda_common.cuh"

namespace kvbench {
namespace {

// The operator with sizes as kernels count.
struct Passes {
  HeadRows queries, keys;  // [Hq, Q, d], [H, T, d]
  int n_heads, n_kv_heads, n_queries, n_tokens, head_dim, n_columns;
  float scale, factor;  // that of the logits makes weights powers of two
  bool of_heads;
  float* out;
  float2* stats;     // [Hq, Q]: the largest logit, and one over the sum of weights
  float2* partials;  // [Hq, splits, Q]: the same of some keys, and the sum itself
};

constexpr int kThreads = 128, kKeys = 64;        // of a block and of a tile
constexpr int kKeysOfThread = 4;                 // logits of a thread: rows x keys
constexpr int kColumns = kKeys / kKeysOfThread;  // threads side by side
constexpr int kRowsOfBlock = kThreads / kColumns;
constexpr int64_t kSplitKeys = 256;  // fewer keys are not split,
constexpr int64_t kBlocks = 1024;    // nor when there are as many blocks anyway

// That registers allow at least.
template <int kRows>
constexpr int kBlocksOfSm = kRows == 4 ? 6 : 5;

// What a tile of logits needs of shared memory: two chunks of columns of its queries and keys, in
// float, so that the next arrives while one is multiplied. Padding spreads the banks.
template <class T, int kRows>
struct Chunks {
  static constexpr int kDepth = 2 * Pack<T>::kSize, kQueries = kRowsOfBlock * kRows;

  float queries[2][kDepth][kQueries + 4];
  float keys[2][kDepth][kKeys + 4];
};

// Where threads stand: each computes logits of kRows queries and kKeysOfThread keys.
__device__ int thread_row() { return static_cast<int>(threadIdx.x) / kColumns; }
__device__ int thread_column() { return static_cast<int>(threadIdx.x) % kColumns; }

// Element `column` ff. of a row that is there.
template <class T>
__device__ Pack<T> load_columns(const T* row, int column, int head_dim) {
  return row != nullptr && column < head_dim ? load_pack(row + column) : Pack<T>{};
}

template <class T, int kWidth>
__device__ void store_columns(const Pack<T>& pack, int row, float (*chunk)[kWidth]) {
#pragma unroll
  for (int i = 0; i < Pack<T>::kSize; ++i) chunk[i][row] = to_float(pack.at[i]);
}

// Dot products of the tile's queries and keys. A thread reads half a chunk of one row of either,
// row threadIdx.x / 2; rows that are not there are nullptr and count as zeros.
template <class T, int kRows>
__device__ void multiply_tile(const T* query, const T* key, int head_dim, Chunks<T, kRows>& chunks,
                              float (&logits)[kRows][kKeysOfThread]) {
  constexpr int kSize = Pack<T>::kSize, kDepth = Chunks<T, kRows>::kDepth;
  const int row = threadIdx.x / 2, offset = threadIdx.x % 2 * kSize;
  const bool has_query = row < Chunks<T, kRows>::kQueries;
  Pack<T> of_query = load_columns(query, offset, head_dim);
  Pack<T> of_key = load_columns(key, offset, head_dim);
  const auto store = [&](int buffer) {
    if (has_query) store_columns(of_query, row, chunks.queries[buffer] + offset);
    store_columns(of_key, row, chunks.keys[buffer] + offset);
  };
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int k = 0; k < kKeysOfThread; ++k) logits[r][k] = 0;
  }
  store(0);
  __syncthreads();
  for (int column = 0, buffer = 0; column < head_dim; column += kDepth, buffer ^= 1) {
    const bool has_next = column + kDepth < head_dim;
    if (has_next) {
      of_query = load_columns(query, column + kDepth + offset, head_dim);
      of_key = load_columns(key, column + kDepth + offset, head_dim);
    }
#pragma unroll
    for (int c = 0; c < kDepth; ++c) {
      const auto keys = *reinterpret_cast<const float4*>(chunks.keys[buffer][c] +
                                                         thread_column() * kKeysOfThread);
#pragma unroll
      for (int r = 0; r < kRows; r += 4) {
        const auto queries =
            *reinterpret_cast<const float4*>(chunks.queries[buffer][c] + thread_row() * kRows + r);
        const float of_rows[4] = {queries.x, queries.y, queries.z, queries.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          logits[r + i][0] = fmaf(of_rows[i], keys.x, logits[r + i][0]);
          logits[r + i][1] = fmaf(of_rows[i], keys.y, logits[r + i][1]);
          logits[r + i][2] = fmaf(of_rows[i], keys.z, logits[r + i][2]);
          logits[r + i][3] = fmaf(of_rows[i], keys.w, logits[r + i][3]);
        }
      }
    }
    if (has_next) store(buffer ^ 1);
    __syncthreads();  // the next chunk is there, and this one can go
  }
}

template <class T>
__device__ const T* row_of(const HeadRows& rows, int head, int row, int n_rows) {
  if (row >= n_rows) return nullptr;
  return static_cast<const T*>(rows.data) + head * rows.head_stride + row * rows.row_stride;
}

// Two parts of one softmax as one.
__device__ float2 merged(float2 a, float2 b) {
  const float largest = fmaxf(a.x, b.x);
  return {largest, a.y * exp2f(a.x - largest) + b.y * exp2f(b.x - largest)};
}

// grid [tiles of queries, splits of the keys, Hq]
template <class T, int kRows>
__global__ void __launch_bounds__(kThreads, kBlocksOfSm<kRows>)
    stats_kernel(const Passes op, int keys_of_split) {
  __shared__ Chunks<T, kRows> chunks;
  const int head = blockIdx.z, kv_head = head / (op.n_heads / op.n_kv_heads);
  const int first = blockIdx.x * Chunks<T, kRows>::kQueries, row = threadIdx.x / 2;
  const int first_position = op.n_tokens - op.n_queries + first;
  const T* query = row < Chunks<T, kRows>::kQueries
                       ? row_of<T>(op.queries, head, first + row, op.n_queries)
                       : nullptr;
  // Not infinite, which the difference of a masked logit with it would not bear.
  float largest[kRows], total[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) largest[r] = -FLT_MAX, total[r] = 0;

  const int begin = blockIdx.y * keys_of_split;
  const int end =
      min(min(begin + keys_of_split, op.n_tokens), first_position + Chunks<T, kRows>::kQueries);
  for (int t0 = begin; t0 < end; t0 += kKeys) {
    float logits[kRows][kKeysOfThread];
    multiply_tile(query, row_of<T>(op.keys, kv_head, t0 + row, op.n_tokens), op.head_dim, chunks,
                  logits);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const int position = min(first_position + thread_row() * kRows + r, op.n_tokens - 1);
      const float before = largest[r];
#pragma unroll
      for (int k = 0; k < kKeysOfThread; ++k) {
        const int t = t0 + thread_column() * kKeysOfThread + k;
        logits[r][k] = t <= position ? logits[r][k] * op.scale : -INFINITY;
        largest[r] = fmaxf(largest[r], logits[r][k]);
      }
      total[r] *= exp2f(before - largest[r]);
#pragma unroll
      for (int k = 0; k < kKeysOfThread; ++k) total[r] += exp2f(logits[r][k] - largest[r]);
    }
  }

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    float2 stat = {largest[r], total[r]};
#pragma unroll
    for (int distance = kColumns / 2; distance > 0; distance /= 2) {
      stat = merged(stat, {__shfl_xor_sync(kWholeWarp, stat.x, distance),
                           __shfl_xor_sync(kWholeWarp, stat.y, distance)});
    }
    const int i = first + thread_row() * kRows + r;
    if (thread_column() == 0 && i < op.n_queries) {
      op.partials[(int64_t{head} * gridDim.y + blockIdx.y) * op.n_queries + i] = stat;
    }
  }
}

// A thread for every query of every head.
__global__ void __launch_bounds__(kThreads) merge_stats_kernel(const Passes op, int n_splits) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= int64_t{op.n_heads} * op.n_queries) return;
  const float2* partials =
      op.partials + i / op.n_queries * n_splits * op.n_queries + i % op.n_queries;
  float2 stat = partials[0];
  for (int s = 1; s < n_splits; ++s) stat = merged(stat, partials[int64_t{s} * op.n_queries]);
  op.stats[i] = {stat.x, 1 / stat.y};
}

// grid [tiles of keys, H]
template <class T, int kRows>
__global__ void __launch_bounds__(kThreads, kBlocksOfSm<kRows>) sums_kernel(const Passes op) {
  constexpr int kQueries = Chunks<T, kRows>::kQueries;
  __shared__ union {
    Chunks<T, kRows> chunks;
    float sums[kRowsOfBlock][kKeys];
  } shared;
  const int group = op.n_heads / op.n_kv_heads, kv_head = blockIdx.y;
  const int t0 = blockIdx.x * kKeys, row = threadIdx.x / 2;
  const int n_before = op.n_tokens - op.n_queries;  // tokens without a query
  const T* key = row_of<T>(op.keys, kv_head, t0 + row, op.n_tokens);
  float sums[kKeysOfThread] = {};
  for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    const float2* stats = op.stats + int64_t{head} * op.n_queries;
    // Earlier queries see none of these keys.
    for (int first = max(0, t0 - n_before) / kQueries * kQueries; first < op.n_queries;
         first += kQueries) {
      const T* query =
          row < kQueries ? row_of<T>(op.queries, head, first + row, op.n_queries) : nullptr;
      float logits[kRows][kKeysOfThread];
      multiply_tile(query, key, op.head_dim, shared.chunks, logits);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const int i = first + thread_row() * kRows + r;
        if (i >= op.n_queries) continue;
        const float2 stat = stats[i];
#pragma unroll
        for (int k = 0; k < kKeysOfThread; ++k) {
          const int t = t0 + thread_column() * kKeysOfThread + k;
          if (t <= n_before + i) sums[k] += exp2f(logits[r][k] * op.scale - stat.x) * stat.y;
        }
      }
    }
    if (!op.of_heads && head % group != group - 1) continue;
    *reinterpret_cast<float4*>(shared.sums[thread_row()] + thread_column() * kKeysOfThread) =
        make_float4(sums[0], sums[1], sums[2], sums[3]);
    __syncthreads();
    const int t = t0 + threadIdx.x;
    if (threadIdx.x < kKeys && t < op.n_columns) {
      float sum = 0;
      for (int r = 0; r < kRowsOfBlock; ++r) sum += shared.sums[r][threadIdx.x];
      op.out[int64_t{op.of_heads ? head : kv_head} * op.n_columns + t] = sum * op.factor;
    }
    __syncthreads();  // the chunks may come
#pragma unroll
    for (int k = 0; k < kKeysOfThread; ++k) sums[k] = 0;
  }
}

// Queries of a thread: as many as fill a tile.
bool has_small_tiles(int64_t n_queries) { return n_queries <= 4 * kRowsOfBlock; }

int64_t query_tiles(int64_t n_queries) {
  const int64_t tile = kRowsOfBlock * (has_small_tiles(n_queries) ? 4 : 8);
  return (n_queries + tile - 1) / tile;
}

// Ways that the keys are shared out among blocks of the first pass.
int64_t splits(const AttentionColumnSums& op) {
  const int64_t blocks = op.n_heads * query_tiles(op.n_queries);
  return min((kBlocks + blocks - 1) / blocks, (op.n_tokens + kSplitKeys - 1) / kSplitKeys);
}

template <class T, int kRows>
void launch(const AttentionColumnSums& op, CudaStream stream) {
  const int64_t n_stats = op.n_heads * op.n_queries, n_splits = splits(op);
  auto* stats = static_cast<float2*>(op.workspace);
  const Passes passes = {.queries = op.queries,
                         .keys = op.keys,
                         .n_heads = static_cast<int>(op.n_heads),
                         .n_kv_heads = static_cast<int>(op.n_kv_heads),
                         .n_queries = static_cast<int>(op.n_queries),
                         .n_tokens = static_cast<int>(op.n_tokens),
                         .head_dim = static_cast<int>(op.head_dim),
                         .n_columns = static_cast<int>(op.n_columns),
                         .scale = op.scale * 1.4426950408889634F,  // log2(e)
                         .factor = op.of_heads ? op.factor
                                               : op.factor * static_cast<float>(op.n_kv_heads) /
                                                     static_cast<float>(op.n_heads),
                         .of_heads = op.of_heads,
                         .out = op.out,
                         .stats = stats,
                         .partials = stats + n_stats};
  const auto keys_of_split =
      static_cast<int>(((op.n_tokens + n_splits - 1) / n_splits + kKeys - 1) / kKeys * kKeys);
  const dim3 stats_grid(query_tiles(op.n_queries), n_splits, op.n_heads);
  stats_kernel<T, kRows><<<stats_grid, kThreads, 0, stream>>>(passes, keys_of_split);
  merge_stats_kernel<<<(n_stats + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      passes, static_cast<int>(n_splits));
  const dim3 sums_grid((op.n_columns + kKeys - 1) / kKeys, op.n_kv_heads);
  sums_kernel<T, kRows><<<sums_grid, kThreads, 0, stream>>>(passes);
}

// Packs of 16 bytes are whole and aligned.
bool has_packs(const HeadRows& rows, const AttentionColumnSums& op) {
  const int64_t pack = 16 / element_bytes(op.dtype);
  return op.head_dim % pack == 0 && rows.head_stride % pack == 0 && rows.row_stride % pack == 0 &&
         reinterpret_cast<uintptr_t>(rows.data) % 16 == 0;
}

}  // namespace

size_t attention_column_sums_workspace_bytes(const AttentionColumnSums& op) {
  return op.n_heads * op.n_queries * (splits(op) + 1) * sizeof(float2);
}

CudaStatus attention_column_sums_cuda(const AttentionColumnSums& op, CudaStream stream) {
  if (op.n_heads % op.n_kv_heads != 0 || op.n_heads > 65535 || op.n_queries <= 0 ||
      op.n_queries > op.n_tokens || op.n_columns <= 0 || op.n_columns > op.n_tokens ||
      !has_packs(op.queries, op) || !has_packs(op.keys, op)) {
    return cudaErrorInvalidValue;
  }
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    if (has_small_tiles(op.n_queries)) return launch<T, 4>(op, stream);
    return launch<T, 8>(op, stream);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
