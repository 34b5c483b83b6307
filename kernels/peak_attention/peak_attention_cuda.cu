// Both passes compute the logits, tile by tile, and store none.
#include "kernels/common/logit_tiles.cuh"
#include "kernels/common/softmax_rows.cuh"
#include "kernels/peak_attention/peak_attention.h"

namespace kvbench {
namespace {

constexpr int kThreads = kTileThreads, kKeys = kTileKeys;
constexpr int64_t kBlocks = 1024;  // with fewer, a key's queries are shared out among several

// The operator with sizes as kernels count.
struct PeakPasses {
  HeadRows to_others, to_own, sinks, keys, own;
  const float *query_weights, *key_weights;
  int n_heads, n_kv_heads, n_queries, n_sinks, n_keys, head_dim;
  float scale;  // makes weights powers of two
  float* out;
  float* normalizers;  // [Hq, q], less the logarithm of the query's weight
};

// grid [Hq, tiles of queries], the last ones first: they see most
template <class Tile>
__global__ void __launch_bounds__(kThreads, Tile::kBlocks) stats_kernel(const PeakPasses op) {
  using Rows = TileRows<typename Tile::Element>;
  __shared__ typename Tile::Shared shared;
  const int head = blockIdx.x, kv_head = head / (op.n_heads / op.n_kv_heads);
  const int first = (gridDim.y - 1 - blockIdx.y) * Tile::kQueries;
  // The peaks begin at zero.
  const int64_t n_threads = int64_t{gridDim.x} * gridDim.y * kThreads;
  for (int64_t i = (int64_t{blockIdx.y} * gridDim.x + blockIdx.x) * kThreads + threadIdx.x;
       i < int64_t{op.n_kv_heads} * op.n_keys; i += n_threads) {
    op.out[i] = 0;
  }

  SoftmaxRows<Tile> rows;
#pragma unroll 1
  for (int kind = 0; kind < 3; ++kind) {
    const bool is_causal = kind == 2;
    const HeadRows& queries = is_causal ? op.to_own : op.to_others;
    const HeadRows& keys = kind == 0 ? op.sinks : kind == 1 ? op.keys : op.own;
    const int n = kind == 0   ? op.n_sinks
                  : kind == 1 ? op.n_keys
                              : min(op.n_queries, first + Tile::kQueries);
    const auto fetch = [&](int t0, Kept kept) {
      if (t0 >= n) return;
      Tile::fetch(Rows(queries, head, first, op.n_queries), Rows(keys, kv_head, t0, n), op.head_dim,
                  shared, kept);
    };
    fetch(0, Kept::kNothing);
    for (int t0 = 0; t0 < n; t0 += kKeys) {
      Tile tile;
      tile.multiply(Rows(queries, head, first, op.n_queries), Rows(keys, kv_head, t0, n),
                    op.head_dim, shared);
      fetch(t0 + kKeys, Kept::kQueries);
      const int seen = (is_causal ? first : n - 1) - t0;  // by the first query
      if (kKeys - 1 > seen) {
        mask(tile,
             [&](int r, int k) { return Tile::key(k) - (is_causal ? Tile::row(r) : 0) <= seen; });
      }
      rows.add(tile, op.scale);
    }
  }

#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r) {
    const float2 stat = rows.of_row(r);
    const int i = first + Tile::row(r);
    if (threadIdx.x % Tile::kLanesOfRow == 0 && i < op.n_queries) {
      const float weight = op.query_weights == nullptr ? 1 : op.query_weights[i];
      op.normalizers[int64_t{head} * op.n_queries + i] = normalizer(stat) - log2f(weight);
    }
  }
}

// grid [tiles of keys, Hq, shares of the queries]
template <class Tile>
__global__ void __launch_bounds__(kThreads, Tile::kBlocks)
    peaks_kernel(const PeakPasses op, int queries_of_share) {
  using Rows = TileRows<typename Tile::Element>;
  __shared__ union {
    typename Tile::Shared tile;
    TileParts<Tile> peaks;
  } shared;
  const int head = blockIdx.y, kv_head = head / (op.n_heads / op.n_kv_heads);
  const int t0 = blockIdx.x * kKeys;
  const float* normalizers = op.normalizers + int64_t{head} * op.n_queries;
  float peaks[Tile::kKeys];  // logarithms
#pragma unroll
  for (float& peak : peaks) peak = -INFINITY;
  const int begin = blockIdx.z * queries_of_share;
  const int end = min(begin + queries_of_share, op.n_queries);
  const Rows keys(op.keys, kv_head, t0, op.n_keys);
  const auto fetch = [&](int first, Kept kept) {
    if (first >= end) return;
    Tile::fetch(Rows(op.to_others, head, first, op.n_queries), keys, op.head_dim, shared.tile,
                kept);
  };
  fetch(begin, Kept::kNothing);
  for (int first = begin; first < end; first += Tile::kQueries) {
    Tile tile;
    tile.multiply(Rows(op.to_others, head, first, op.n_queries), keys, op.head_dim, shared.tile);
    fetch(first + Tile::kQueries, Kept::kKeys);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const int i = first + Tile::row(r);
      const float normalizer = i < op.n_queries ? normalizers[i] : INFINITY;
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        peaks[k] = larger(peaks[k], fmaf(tile.logits[r][k], op.scale, -normalizer));
      }
    }
  }

  shared.peaks.store(peaks);
  __syncthreads();
  const int t = t0 + threadIdx.x;
  if (threadIdx.x >= kKeys || t >= op.n_keys) return;
  float peak = power_of_two(shared.peaks.combine(threadIdx.x, 0, shared.peaks.kCount, larger));
  if (op.key_weights != nullptr) peak *= op.key_weights[int64_t{head} * op.n_keys + t];
  // Floats that are not negative lie in the order of their bits, a NaN above all: the largest is
  // one whatever the order of the blocks.
  const int bits = peak != peak ? 0x7fc00000 : __float_as_int(peak);
  atomicMax(reinterpret_cast<int*>(op.out) + int64_t{kv_head} * op.n_keys + t, bits);
}

}  // namespace

size_t peak_attention_workspace_bytes(const PeakAttention& op) {
  return op.n_heads * op.n_queries * sizeof(float);
}

CudaStatus peak_attention_cuda(const PeakAttention& op, CudaStream stream) {
  const auto fits = [&](const HeadRows& rows) { return has_packs(rows, op.head_dim, op.dtype); };
  if (op.n_heads % op.n_kv_heads != 0 || op.n_heads > 65535 || op.n_queries <= 0 ||
      op.n_keys <= 0 || !fits(op.to_others) || !fits(op.to_own) ||
      (op.n_sinks > 0 && !fits(op.sinks)) || !fits(op.keys) || !fits(op.own)) {
    return cudaErrorInvalidValue;
  }
  const PeakPasses passes = {.to_others = op.to_others,
                             .to_own = op.to_own,
                             .sinks = op.sinks,
                             .keys = op.keys,
                             .own = op.own,
                             .query_weights = op.query_weights,
                             .key_weights = op.key_weights,
                             .n_heads = static_cast<int>(op.n_heads),
                             .n_kv_heads = static_cast<int>(op.n_kv_heads),
                             .n_queries = static_cast<int>(op.n_queries),
                             .n_sinks = static_cast<int>(op.n_sinks),
                             .n_keys = static_cast<int>(op.n_keys),
                             .head_dim = static_cast<int>(op.head_dim),
                             .scale = op.scale * 1.4426950408889634F,  // log2(e)
                             .out = op.out,
                             .normalizers = static_cast<float*>(op.workspace)};
  with_tile(op.dtype, op.n_queries, 1, [&](auto tile) {
    using Tile = decltype(tile);
    const int64_t query_tiles = (op.n_queries + Tile::kQueries - 1) / Tile::kQueries;
    const int64_t key_tiles = (op.n_keys + kKeys - 1) / kKeys;
    stats_kernel<Tile><<<dim3(op.n_heads, query_tiles), kThreads, 0, stream>>>(passes);
    const int64_t shares = min(query_tiles, (kBlocks - 1) / (key_tiles * op.n_heads) + 1);
    const int64_t of_share = (query_tiles + shares - 1) / shares * Tile::kQueries;
    peaks_kernel<Tile><<<dim3(key_tiles, op.n_heads, shares), kThreads, 0, stream>>>(
        passes, static_cast<int>(of_share));
  });
  return cudaGetLastError();
}

}  // namespace kvbench
