// Split-K attention (flash decoding): a block takes a range of one KV head's rows for all query
// heads of its group, then a second kernel merges the ranges in order.
//
// A row of keys or values lies over a group of lanes, 16 bytes each, so that a warp reads whole
// rows of several tokens at once; every row is read once for up to kRows queries. Queries of a
// group are its heads times the new tokens, kRows of them a warp. Softmax goes along with the rows
// (online): each group of lanes keeps a maximum, a sum and a weighted sum of values for each of its
// queries.
#include <climits>
#include <type_traits>

#include "kernels/cache_attention.h"
#include "kernels/cuda_common.cuh"
#include "kernels/decode_plan.h"

namespace kvbench {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / kWarp;
constexpr int kAhead = 2;     // rows that a group of lanes reads before it needs them
constexpr int kUniform = 16;  // splits of every head where there is no plan

struct Arguments {
  CacheAttention op;
  const DecodeWork* work;
  const int32_t* first;  // of each head's work; without a plan each has kUniform
  float* partials;       // [work, queries of a group, 2 + d]: maximum, sum, weighted values
  int n_queries;         // of a group: heads times new tokens
  int chunks;            // of kRows queries that one block takes: 1, 2 or 4
};

// Four elements: one access of memory.
template <class T>
struct alignas(4 * sizeof(T)) Four {
  T at[4];
};

template <class T>
__device__ inline Four<T> load_four(const T* from) {
  using Bits = std::conditional_t<sizeof(T) == 4, int4, int2>;
  const Bits bits = *reinterpret_cast<const Bits*>(from);
  return *reinterpret_cast<const Four<T>*>(&bits);
}

// What a group of lanes knows of one query.
template <int kSize>
struct Softmax {
  float largest = -INFINITY, total = 0, sum[kSize] = {};

  // Multiplies all by exp(largest - other): as if `other` had been subtracted from every logit.
  __device__ void rescale(float other) {
    const float factor = largest == -INFINITY ? 0.0F : expf(largest - other);
    largest = other;
    total *= factor;
#pragma unroll
    for (int i = 0; i < kSize; ++i) sum[i] *= factor;
  }

  __device__ void merge(Softmax other) {
    const float most = fmaxf(largest, other.largest);
    rescale(most);
    other.rescale(most);
    total += other.total;
#pragma unroll
    for (int i = 0; i < kSize; ++i) sum[i] += other.sum[i];
  }
};

__device__ inline DecodeWork work_of(const Arguments& a, int block) {
  if (a.work != nullptr) return a.work[block];
  return {block / kUniform, block % kUniform, kUniform};
}

// grid [work, chunks of queries]. kLanes lanes hold a row, kParts times four elements each.
template <class T, int kLanes, int kParts, int kRows>
__global__ void __launch_bounds__(kThreads, 6) attend_split_kernel(Arguments a) {
  constexpr int kSize = 4 * kParts, kGroups = kWarp / kLanes;
  constexpr int kColumns = kLanes * kSize;
  __shared__ float shared[kWarps][kRows][2 + kColumns];
  const CacheAttention& op = a.op;
  const DecodeWork work = work_of(a, blockIdx.x);
  const int n_kv_heads = static_cast<int>(op.cache.n_kv_heads);
  const int d = static_cast<int>(op.cache.head_dim), n_parts = d / 4;
  const int s = work.head / n_kv_heads, h = work.head % n_kv_heads;
  const int group = static_cast<int>(op.n_heads) / n_kv_heads, m = static_cast<int>(op.n_tokens);
  const int lane = threadIdx.x % kLanes, row_group = threadIdx.x % kWarp / kLanes;
  const int warp = threadIdx.x / kWarp, warps_of_chunk = kWarps / a.chunks;
  const int first_query = (blockIdx.y * a.chunks + warp / warps_of_chunk) * kRows;
  const int part = warp % warps_of_chunk;

  const int64_t length = op.cache.lengths[work.head];
  const int begin = static_cast<int>(length * work.split / work.n_splits);
  const int end = static_cast<int>(length * (work.split + 1) / work.n_splits);
  const int64_t start = op.cache.starts[work.head] * d;
  const T* keys = static_cast<const T*>(op.cache.keys) + start;
  const T* values = static_cast<const T*>(op.cache.values) + start;

  Four<T> query[kRows][kParts];
  int seen[kRows];  // rows before this one are what each query sees, the last `window` of them
  const int window = op.window > 0 ? static_cast<int>(op.window) : INT_MAX / 2;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const int q = first_query + r, token = q / group;
    const bool is_there = q < a.n_queries;
    seen[r] = is_there ? static_cast<int>(length) - m + 1 + token : 0;
    const T* from = static_cast<const T*>(op.query) +
                    ((int64_t{s} * m + token) * op.n_heads + h * group + q % group) * d;
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      query[r][p] = Four<T>{};
      if (is_there && lane + p * kLanes < n_parts) {
        query[r][p] = load_four(from + (lane + p * kLanes) * 4);
      }
    }
  }

  const auto load = [&](const T* rows, int row, Four<T>(&four)[kParts]) {
#pragma unroll
    for (int p = 0; p < kParts; ++p) {
      four[p] = Four<T>{};
      if (row < end && lane + p * kLanes < n_parts) {
        four[p] = load_four(rows + int64_t{row} * d + (lane + p * kLanes) * 4);
      }
    }
  };

  Softmax<kSize> softmax[kRows];
  const int step = kGroups * kAhead;
  for (int tile = begin + part * step; tile < end; tile += warps_of_chunk * step) {
    Four<T> key[kAhead][kParts], value[kAhead][kParts];
#pragma unroll
    for (int x = 0; x < kAhead; ++x) load(keys, tile + x * kGroups + row_group, key[x]);
#pragma unroll
    for (int x = 0; x < kAhead; ++x) load(values, tile + x * kGroups + row_group, value[x]);
#pragma unroll
    for (int x = 0; x < kAhead; ++x) {
      const int row = tile + x * kGroups + row_group;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        float dot = 0;
#pragma unroll
        for (int i = 0; i < kSize; ++i) {
          dot += to_float(query[r][i / 4].at[i % 4]) * to_float(key[x][i / 4].at[i % 4]);
        }
#pragma unroll
        for (int distance = kLanes / 2; distance > 0; distance /= 2) {
          dot += __shfl_xor_sync(kWholeWarp, dot, distance);
        }
        if (row >= end || row >= seen[r] || row + window < seen[r]) continue;
        const float logit = dot * op.scale;
        if (logit > softmax[r].largest) softmax[r].rescale(logit);
        const float weight = expf(logit - softmax[r].largest);
        softmax[r].total += weight;
#pragma unroll
        for (int i = 0; i < kSize; ++i) {
          softmax[r].sum[i] += weight * to_float(value[x][i / 4].at[i % 4]);
        }
      }
    }
  }

  // Groups of lanes, then warps that share queries.
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int distance = kWarp / 2; distance >= kLanes; distance /= 2) {
      Softmax<kSize> other;
      other.largest = __shfl_xor_sync(kWholeWarp, softmax[r].largest, distance);
      other.total = __shfl_xor_sync(kWholeWarp, softmax[r].total, distance);
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        other.sum[i] = __shfl_xor_sync(kWholeWarp, softmax[r].sum[i], distance);
      }
      softmax[r].merge(other);
    }
    if (row_group != 0) continue;
    if (lane == 0) {
      shared[warp][r][0] = softmax[r].largest;
      shared[warp][r][1] = softmax[r].total;
    }
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      shared[warp][r][2 + (lane + i / 4 * kLanes) * 4 + i % 4] = softmax[r].sum[i];
    }
  }
  __syncthreads();
  if (part != 0) return;
  for (int r = 0; r < kRows && first_query + r < a.n_queries; ++r) {
    float most = -INFINITY;
    for (int w = 0; w < warps_of_chunk; ++w) most = fmaxf(most, shared[warp + w][r][0]);
    float* to = a.partials + (int64_t{blockIdx.x} * a.n_queries + first_query + r) * (2 + d);
    for (int c = 1 + static_cast<int>(threadIdx.x % kWarp); c < 2 + d; c += kWarp) {
      float sum = 0;
      for (int w = 0; w < warps_of_chunk; ++w) {
        const float largest = shared[warp + w][r][0];
        if (largest != -INFINITY) sum += expf(largest - most) * shared[warp + w][r][c];
      }
      to[c] = sum;
    }
    if (threadIdx.x % kWarp == 0) to[0] = most;
  }
}

// grid [heads of all sequences, queries of a group]: the splits of a head in order.
template <class T>
__global__ void __launch_bounds__(kThreads) merge_splits_kernel(Arguments a) {
  const CacheAttention& op = a.op;
  const int d = static_cast<int>(op.cache.head_dim), head = blockIdx.x, q = blockIdx.y;
  const int first = a.first != nullptr ? a.first[head] : head * kUniform;
  const int end = a.first != nullptr ? a.first[head + 1] : first + kUniform;
  const auto partial = [&](int split) {
    return a.partials + (int64_t{split} * a.n_queries + q) * (2 + d);
  };
  float most = -INFINITY;
  for (int i = first; i < end; ++i) most = fmaxf(most, partial(i)[0]);
  float total = 0;
  for (int i = first; i < end; ++i) {
    if (partial(i)[0] != -INFINITY) total += expf(partial(i)[0] - most) * partial(i)[1];
  }
  const int n_kv_heads = static_cast<int>(op.cache.n_kv_heads);
  const int group = static_cast<int>(op.n_heads) / n_kv_heads;
  T* out = static_cast<T*>(op.out) + ((head / n_kv_heads * op.n_tokens + q / group) * op.n_heads +
                                      head % n_kv_heads * group + q % group) *
                                         d;
  for (int c = threadIdx.x; c < d; c += kThreads) {
    float sum = 0;
    for (int i = first; i < end; ++i) {
      if (partial(i)[0] != -INFINITY) sum += expf(partial(i)[0] - most) * partial(i)[2 + c];
    }
    out[c] = from_float<T>(sum / total);
  }
}

int64_t n_work(const CacheAttention& op) {
  return op.work != nullptr ? op.n_work : op.cache.n_sequences * op.cache.n_kv_heads * kUniform;
}

int64_t n_queries(const CacheAttention& op) {
  return op.n_heads / op.cache.n_kv_heads * op.n_tokens;
}

template <class T, int kLanes, int kParts, int kRows>
void launch_rows(Arguments a, CudaStream stream) {
  const int n_chunks = (a.n_queries + kRows - 1) / kRows;
  a.chunks = n_chunks >= 3 ? 4 : n_chunks;
  const dim3 grid(static_cast<unsigned>(n_work(a.op)),
                  static_cast<unsigned>((n_chunks + a.chunks - 1) / a.chunks));
  attend_split_kernel<T, kLanes, kParts, kRows><<<grid, kThreads, 0, stream>>>(a);
}

template <class T, int kLanes>
void launch_split(const Arguments& a, CudaStream stream) {
  switch (min(a.n_queries, 4)) {
    case 1:
      return launch_rows<T, kLanes, 1, 1>(a, stream);
    case 2:
      return launch_rows<T, kLanes, 1, 2>(a, stream);
    case 3:
      return launch_rows<T, kLanes, 1, 3>(a, stream);
    default:
      return launch_rows<T, kLanes, 1, 4>(a, stream);
  }
}

template <class T>
void launch(const Arguments& a, CudaStream stream) {
  if (a.op.cache.head_dim <= 64) {
    launch_split<T, 16>(a, stream);
  } else if (a.op.cache.head_dim <= 128) {
    launch_split<T, 32>(a, stream);
  } else if (sizeof(T) == 4 || a.n_queries == 1) {
    launch_rows<T, 32, 2, 1>(a, stream);
  } else {
    if constexpr (sizeof(T) == 2) launch_rows<T, 32, 2, 2>(a, stream);
  }
  const dim3 grid(static_cast<unsigned>(a.op.cache.n_sequences * a.op.cache.n_kv_heads),
                  static_cast<unsigned>(a.n_queries));
  merge_splits_kernel<T><<<grid, kThreads, 0, stream>>>(a);
}

}  // namespace

size_t cache_attention_workspace_bytes(const CacheAttention& op) {
  return n_work(op) * n_queries(op) * (2 + op.cache.head_dim) * sizeof(float);
}

CudaStatus cache_attention_cuda(const CacheAttention& op, CudaStream stream) {
  const RaggedCache& cache = op.cache;
  const auto is_aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; };
  if (cache.head_dim <= 0 || cache.head_dim > 256 || cache.head_dim % 8 != 0 ||
      !is_aligned(cache.keys) || !is_aligned(cache.values) || !is_aligned(op.query) ||
      n_queries(op) > 65535) {
    return cudaErrorInvalidValue;
  }
  if (cache.n_sequences * op.n_heads * op.n_tokens == 0) return cudaSuccess;
  const Arguments arguments = {op,
                               op.work,
                               op.first_work,
                               static_cast<float*>(op.workspace),
                               static_cast<int>(n_queries(op)),
                               1};
  with_cuda_element(cache.dtype,
                    [&](auto element) { launch<decltype(element)>(arguments, stream); });
  return cudaGetLastError();
}

}  // namespace kvbench
