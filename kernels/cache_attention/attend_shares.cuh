// Flash decoding (Dao et al. 2023): each block takes one share of the rows of a KV head
// (decode_plan.h) and up to 8 query rows, the whole GQA group in decode, and walks the rows in
// tiles with an online softmax; a second kernel merges the shares of a head in their order. Keys of
// the next tile arrive while values of this one are summed up, its values while keys are scored.
#pragma once

#include <algorithm>

#include "kernels/cache_attention/query_rows.cuh"
#include "kernels/common/async_copy.cuh"
#include "kernels/common/cuda_common.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp, kMaxHeadDim = 256;
constexpr int kPart = 4;  // columns of a thread at a time, and query rows whose sums it holds

__device__ float4 load_float4(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ void store_float4(float4 x, float* to) { *reinterpret_cast<float4*>(to) = x; }
__device__ float4 operator+(float4 x, float4 y) {
  return {x.x + y.x, x.y + y.y, x.z + y.z, x.w + y.w};
}
__device__ float4 operator*(float a, float4 x) { return {a * x.x, a * x.y, a * x.z, a * x.w}; }

__device__ void add_dot(float4 x, float4 y, float& sum) {
  sum = fmaf(x.x, y.x, sum);
  sum = fmaf(x.y, y.y, sum);
  sum = fmaf(x.z, y.z, sum);
  sum = fmaf(x.w, y.w, sum);
}

template <class T>
__device__ float4 to_float4(const T* x) {
  return {to_float(x[0]), to_float(x[1]), to_float(x[2]), to_float(x[3])};
}

// kPart elements by one access of memory.
template <class T>
__device__ float4 load_part(const T* from) {
  struct alignas(kPart * sizeof(T)) Part {
    T at[kPart];
  };
  const Part part = *reinterpret_cast<const Part*>(from);
  return to_float4(part.at);
}

constexpr int largest_power_of_two(int n) {
  int power = 1;
  while (2 * power <= n) power *= 2;
  return power;
}

// How a block works with rows of kDim elements: the head's, or the next larger size filled up with
// zeros.
template <class T, int kDim, int kRows>
struct Tiling {
  static constexpr int kParts = kDim / kPart, kRowBytes = kDim * int{sizeof(T)};
  // Lanes that share a key: a power of two that divides its parts.
  static constexpr int kLanes = std::min(kParts & -kParts, kRowBytes > 512 ? 16 : 8);
  static constexpr int kKeysOfPass = kThreads / kLanes;
  static constexpr int kTile = std::max(kKeysOfPass, largest_power_of_two(8192 / kRowBytes));
  static constexpr int kKeysOfLane = std::min(16 / kRows, kTile / kKeysOfPass);  // at a time
  // Threads that share the weighted sums of kPart query rows, and how many ways they share a tile.
  static constexpr int kThreadsOfRows = kThreads / (kRows / kPart);
  static constexpr int kSlices = kThreadsOfRows / kParts;
};

template <class T, int kDim, int kRows>
struct alignas(16) Shared {
  using Sizes = Tiling<T, kDim, kRows>;
  union {
    struct {
      T keys[Sizes::kTile * kDim], values[Sizes::kTile * kDim];
    };
    float sums[Sizes::kSlices * kRows * kDim];
  };
  float4 queries[kRows][kDim / 4];
  float weights[Sizes::kTile * kRows];  // scores first
  // Of each query row: the rows that it sees, its largest score so far and the sum of weights
  // relative to that, and what earlier sums of values must be multiplied by.
  int begin[kRows], end[kRows];
  float largest[kRows], total[kRows], shrink[kRows];
};

// Sums each x[i] over kLanes neighbouring lanes and leaves every lane kN / kLanes of the sums, or
// one sum to several lanes: x[0], x[1], ... are then those of the indices returned and following
// ones.
template <int kN, int kLanes>
__device__ int share_sums(float* x) {
  if constexpr (kLanes == 1) {
    return 0;
  } else if constexpr (kN == 1) {
    x[0] += __shfl_xor_sync(kWholeWarp, x[0], kLanes / 2);
    return share_sums<1, kLanes / 2>(x);
  } else {
    const bool is_upper = threadIdx.x & (kLanes / 2);
#pragma unroll
    for (int i = 0; i < kN / 2; ++i) {
      const float kept = is_upper ? x[i + kN / 2] : x[i], given = is_upper ? x[i] : x[i + kN / 2];
      x[i] = kept + __shfl_xor_sync(kWholeWarp, given, kLanes / 2);
    }
    return (is_upper ? kN / 2 : 0) + share_sums<kN / 2, kLanes / 2>(x);
  }
}

// Rows of a tile into shared memory, zeros past `count` rows and past head_dim.
template <class T, int kDim, int kTile>
__device__ void load_tile(const T* rows, int count, int head_dim, T* tile) {
  constexpr int kSize = Pack<T>::kSize, kPacks = kDim / kSize;
  if (head_dim == kDim) {  // rows lie in the tile as they do in the arena
#pragma unroll 1
    for (int i = threadIdx.x; i < kTile * kPacks; i += kThreads) {
      const bool is_there = i < count * kPacks;
      copy_pack_async(tile + i * kSize, is_there ? rows + i * kSize : rows, is_there);
    }
    return;
  }
#pragma unroll 1
  for (int i = threadIdx.x; i < kTile * kPacks; i += kThreads) {
    const int row = i / kPacks, column = i % kPacks * kSize;
    const bool is_there = row < count && column < head_dim;
    copy_pack_async(tile + i * kSize, is_there ? rows + int64_t{row} * head_dim + column : rows,
                    is_there);
  }
}

// Query rows first ... of n in float, times the scale and log2(e): weights are powers of two.
template <class T, int kDim, int kRows>
__device__ void load_queries(const CacheAttention& op, const QueryRows& rows, int first, int n,
                             float4 (&queries)[kRows][kDim / 4]) {
  constexpr int kSize = Pack<T>::kSize, kPacks = kDim / kSize;
  const float scale = op.scale * 1.4426950408889634F;
  for (int i = threadIdx.x; i < kRows * kPacks; i += kThreads) {
    const int row = i / kPacks, column = i % kPacks * kSize;
    Pack<T> x = {};
    if (first + row < n && column < op.cache.head_dim) {
      x = load_pack(static_cast<const T*>(op.query) + rows.offset(op, first + row) + column);
    }
#pragma unroll
    for (int c = 0; c < kSize; c += kPart) {
      queries[row][(column + c) / kPart] = scale * to_float4(x.at + c);
    }
  }
}

// weights[t][r] = query r . key t of the first `count` rows of a tile.
template <class T, int kDim, int kRows>
__device__ void score_tile(int count, Shared<T, kDim, kRows>& shared) {
  using Sizes = Tiling<T, kDim, kRows>;
  constexpr int kLanes = Sizes::kLanes, kKeys = Sizes::kKeysOfLane, kSums = kKeys * kRows;
  constexpr int kHolders = kLanes > kSums ? kLanes / kSums : 1;  // lanes that hold the same sum
  const int key = threadIdx.x / kLanes, lane = threadIdx.x % kLanes;
#pragma unroll 1
  for (int first = 0; first < count; first += kKeys * Sizes::kKeysOfPass) {
    const int t = first + key;
    float sums[kSums] = {};
#pragma unroll 1
    for (int part = lane; part < Sizes::kParts; part += kLanes) {
      float4 keys[kKeys];
#pragma unroll
      for (int k = 0; k < kKeys; ++k) {
        keys[k] = load_part(shared.keys + (t + k * Sizes::kKeysOfPass) * kDim + part * kPart);
      }
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const float4 query = shared.queries[r][part];
#pragma unroll
        for (int k = 0; k < kKeys; ++k) add_dot(keys[k], query, sums[k * kRows + r]);
      }
    }
    const int first_sum = share_sums<kSums, kLanes>(sums);
    if (lane % kHolders != 0) continue;
#pragma unroll
    for (int i = 0; i < kSums * kHolders / kLanes; ++i) {
      const int k = (first_sum + i) / kRows, r = (first_sum + i) % kRows;
      shared.weights[(t + k * Sizes::kKeysOfPass) * kRows + r] = sums[i];
    }
  }
}

// Scores of query row r become weights, by one warp. The tile begins with row t0.
template <class T, int kDim, int kRows>
__device__ void soften_row(int r, int t0, Shared<T, kDim, kRows>& shared) {
  constexpr int kTile = Tiling<T, kDim, kRows>::kTile, kScores = (kTile + kWarp - 1) / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int begin = shared.begin[r] - t0, end = min(shared.end[r] - t0, kTile);
  // What lane 0 alone keeps needs no order among the lanes.
  const float before = lane == 0 ? shared.largest[r] : -INFINITY;
  float scores[kScores], largest = before;
#pragma unroll
  for (int i = 0; i < kScores; ++i) {
    const int t = lane + i * kWarp;
    scores[i] = t >= begin && t < end ? shared.weights[t * kRows + r] : -INFINITY;
    largest = fmaxf(largest, scores[i]);
  }
  largest = warp_max(largest);
  float total = 0;
#pragma unroll
  for (int i = 0; i < kScores; ++i) {
    const int t = lane + i * kWarp;
    const float weight = t >= begin && t < end ? exp2f(scores[i] - largest) : 0.0F;
    total += weight;
    if (t < kTile) shared.weights[t * kRows + r] = weight;
  }
  total = warp_sum(total);
  if (lane == 0) {
    const float shrink = before == largest ? 1.0F : exp2f(before - largest);
    shared.largest[r] = largest;
    shared.total[r] = shared.total[r] * shrink + total;
    shared.shrink[r] = shrink;
  }
}

// Weighted sums of values over every kSlices-th row of the tiles.
template <class T, int kDim, int kRows>
struct Sums {
  using Sizes = Tiling<T, kDim, kRows>;

  // Of the thread. Threads of a slice past the last have nothing to do.
  int first_row = static_cast<int>(threadIdx.x) / Sizes::kThreadsOfRows * kPart;
  int slice = static_cast<int>(threadIdx.x) % Sizes::kThreadsOfRows / (kDim / kPart);
  int column = static_cast<int>(threadIdx.x) % Sizes::kThreadsOfRows % (kDim / kPart) * kPart;
  float4 at[kPart] = {};  // of four columns each

  __device__ void add_tile(const Shared<T, kDim, kRows>& shared) {
    if (slice >= Sizes::kSlices) return;
#pragma unroll
    for (int r = 0; r < kPart; ++r) at[r] = shared.shrink[first_row + r] * at[r];
#pragma unroll 2
    for (int t = slice; t < Sizes::kTile; t += Sizes::kSlices) {
      const float4 value = load_part(shared.values + t * kDim + column);
      const float4 weights = load_float4(shared.weights + t * kRows + first_row);
      at[0] = at[0] + weights.x * value;
      at[1] = at[1] + weights.y * value;
      at[2] = at[2] + weights.z * value;
      at[3] = at[3] + weights.w * value;
    }
  }

  // Where the tiles were: sums[slice][row][column].
  __device__ void store(Shared<T, kDim, kRows>& shared) const {
    if (slice >= Sizes::kSlices) return;
#pragma unroll
    for (int r = 0; r < kPart; ++r) {
      store_float4(at[r], shared.sums + (slice * kRows + first_row + r) * kDim + column);
    }
  }
};

// What the shares of a head leave for the merge, by share and query row.
struct Partials {
  float* sums;    // [n_items, rows, d]
  float2* stats;  // [n_items, rows]: the largest score, and the sum of weights relative to it
};

// That run on a processor side by side, which bounds their registers. A decode step has as many shares
// as run at once (kDecodeItems): all end together.
template <int kDim, int kRows>
inline constexpr int kBlocksOfProcessor = kDim > 128 || kRows > 4 ? 6 : kDim > 64 ? 8 : 7;

// grid [shares, tiles of kRows query rows]
template <class T, int kDim, int kRows>
__global__ void __launch_bounds__(kThreads, kBlocksOfProcessor<kDim, kRows>)
    attend_shares_kernel(const CacheAttention op, const Partials partials) {
  using Sizes = Tiling<T, kDim, kRows>;
  constexpr int kTile = Sizes::kTile;
  __shared__ Shared<T, kDim, kRows> shared;
  const int n_kv_heads = op.cache.n_kv_heads, head_dim = op.cache.head_dim, item = blockIdx.x;
  const DecodeItem share =
      op.items == nullptr ? DecodeItem{item / n_kv_heads, item % n_kv_heads, 0, 1} : op.items[item];
  if (share.n_splits == 0) return;
  const QueryRows rows(op, share.sequence, share.kv_head);
  const int n_rows = rows.n, first_row = blockIdx.y * kRows;
  const int last_row = min(first_row + kRows, n_rows) - 1;
  const auto bound = [&](int64_t split) {
    const int lowest = rows.begin(0);
    return lowest + static_cast<int>((rows.length(op) - lowest) * split / share.n_splits);
  };
  const int begin = max(bound(share.split), rows.begin(first_row));
  const int end = min(bound(share.split + 1), rows.end(last_row));
  if (threadIdx.x < kRows) {
    const int r = threadIdx.x, row = first_row + r;
    shared.begin[r] = rows.begin(row);
    shared.end[r] = row < n_rows ? min(end, rows.end(row)) : 0;
    shared.largest[r] = -INFINITY;
    shared.total[r] = 0;
  }

  const int start = op.cache.starts[rows.head(op)];
  const auto load = [&](const void* arena, int t, T* tile) {
    if (t < end) {
      load_tile<T, kDim, kTile>(static_cast<const T*>(arena) + int64_t{start + t} * head_dim,
                                end - t, head_dim, tile);
    }
    commit_copies();
  };
  load(op.cache.keys, begin, shared.keys);
  load(op.cache.values, begin, shared.values);
  load_queries<T, kDim, kRows>(op, rows, first_row, n_rows, shared.queries);

  Sums<T, kDim, kRows> sums;
  for (int t = begin; t < end; t += kTile) {
    wait_for_copies<1>();
    __syncthreads();  // the keys are there
    score_tile(min(kTile, end - t), shared);
    __syncthreads();  // so are the scores, and the keys can go
    load(op.cache.keys, t + kTile, shared.keys);
#pragma unroll 1
    for (int r = threadIdx.x / kWarp; r < kRows; r += kWarps) soften_row(r, t, shared);
    wait_for_copies<1>();
    __syncthreads();  // values and weights are there
    sums.add_tile(shared);
    __syncthreads();  // they can go
    load(op.cache.values, t + kTile, shared.values);
  }

  sums.store(shared);
  __syncthreads();
  const int64_t to = int64_t{item} * n_rows + first_row;
  for (int i = threadIdx.x; i < kRows * kDim / 4; i += kThreads) {
    const int row = i / (kDim / 4), column = i % (kDim / 4) * 4;
    if (first_row + row >= n_rows || column >= head_dim) continue;
    float4 total = {};
    for (int slice = 0; slice < Sizes::kSlices; ++slice) {
      total = total + load_float4(shared.sums + (slice * kRows + row) * kDim + column);
    }
    store_float4(total, partials.sums + (to + row) * head_dim + column);
  }
  const int r = threadIdx.x;
  if (r < kRows && first_row + r < n_rows) {
    partials.stats[to + r] = make_float2(shared.largest[r], shared.total[r]);
  }
}

// grid [S * H, query rows]. Warps share the head's shares, lanes the columns.
template <class T>
__global__ void __launch_bounds__(kThreads)
    merge_shares_kernel(const CacheAttention op, const Partials partials) {
  __shared__ float4 sums[kWarps][kMaxHeadDim / 4];
  __shared__ float totals[kWarps];
  const int head = blockIdx.x, n_kv_heads = op.cache.n_kv_heads, head_dim = op.cache.head_dim;
  const int row = blockIdx.y, n_rows = gridDim.y, warp = threadIdx.x / kWarp,
            lane = threadIdx.x % kWarp;
  const int first = op.items == nullptr ? head : op.first_items[head];
  const int end = op.items == nullptr ? head + 1 : op.first_items[head + 1];
  const float2* stats = partials.stats + row;
  float largest = -INFINITY;
  for (int item = first + lane; item < end; item += kWarp) {
    largest = fmaxf(largest, stats[int64_t{item} * n_rows].x);
  }
  largest = warp_max(largest);

  constexpr int kPacks = kMaxHeadDim / 4 / kWarp;
  float4 sum[kPacks] = {};
  float total = 0;
#pragma unroll 2
  for (int item = first + warp; item < end; item += kWarps) {
    const float2 stat = stats[int64_t{item} * n_rows];
    if (stat.y == 0) continue;  // saw none of this share's rows
    const float share = exp2f(stat.x - largest);
    total = fmaf(share, stat.y, total);
    const float* from = partials.sums + (int64_t{item} * n_rows + row) * head_dim;
#pragma unroll
    for (int p = 0; p < kPacks; ++p) {
      const int column = (p * kWarp + lane) * 4;
      if (column >= head_dim) continue;
      sum[p] = sum[p] + share * load_float4(from + column);
    }
  }
#pragma unroll
  for (int p = 0; p < kPacks; ++p) sums[warp][p * kWarp + lane] = sum[p];
  if (lane == 0) totals[warp] = total;
  __syncthreads();
  const QueryRows rows(op, head / n_kv_heads, head % n_kv_heads);
  T* out = static_cast<T*>(op.out) + rows.offset(op, row);
  total = totals[0];
  for (int w = 1; w < kWarps; ++w) total += totals[w];
  for (int column = threadIdx.x; column < head_dim; column += kThreads) {
    float x = 0;
    for (int w = 0; w < kWarps; ++w) x += reinterpret_cast<const float*>(sums[w])[column];
    out[column] = from_float<T>(x / total);
  }
}

}  // namespace
}  // namespace kvbench
