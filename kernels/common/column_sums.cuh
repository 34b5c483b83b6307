// Column sums of attention in two passes over the keys: the softmax's largest logits and totals of
// each query, and weights by them summed for each key. The second one is here, for the kernels that
// go on with its sums.
#pragma once

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/cuda_common.cuh"
#include "kernels/common/logit_tiles.cuh"

namespace kvbench {

// The operator with sizes as kernels count.
struct ColumnPasses {
  HeadRows queries, keys;  // [Hq, Q, d], [H, T, d]
  int n_heads, n_kv_heads, n_queries, n_tokens, head_dim, n_columns;
  float scale, factor;  // that of the logits makes weights powers of two
  bool of_heads;
  float* out;
  float2* stats;     // [Hq, Q]: the largest logit, and one over the sum of weights
  float2* partials;  // [Hq, splits, Q]: the same of some keys, and the sum itself
};

// Launches the first pass, for a tile of with_tile().
ColumnPasses launch_column_stats(const AttentionColumnSums& op, CudaStream stream);

// Whether the kernels take it: whole packs of 16 bytes, aligned, and sizes that fit a grid.
bool has_column_sums(const AttentionColumnSums& op);

// Calls f with the kind of tile: low ones for few queries where that saves work.
template <class F>
void with_tile(const AttentionColumnSums& op, F f) {
  switch (op.dtype) {
    case DType::kBFloat16:
      return f(TensorTile<__nv_bfloat16>());
    case DType::kFloat16:
      return f(TensorTile<__half>());
    case DType::kFloat32:
      break;
  }
  if (op.n_queries <= FloatTile<4>::kQueries) return f(FloatTile<4>());
  f(FloatTile<8>());
}

// The second pass, for a tile of kTileKeys keys from t0 on of one KV head.
template <class Tile>
struct ColumnTile {
  using T = typename Tile::Element;
  static constexpr int kSums = kTileThreads / Tile::kLanesOfRow;  // threads of a key
  union Shared {
    typename Tile::Shared tile;
    float sums[kSums][kTileKeys];
  };
  float sums[Tile::kKeys] = {};

  // Weights of the queries of `head`.
  __device__ void add(const ColumnPasses& op, int head, const TileRows<T>& keys, int t0,
                      Shared& shared) {
    const int n_before = op.n_tokens - op.n_queries;  // tokens without a query
    const float2* stats = op.stats + int64_t{head} * op.n_queries;
    // Earlier queries see none of these keys.
    for (int first = max(0, t0 - n_before) / Tile::kQueries * Tile::kQueries; first < op.n_queries;
         first += Tile::kQueries) {
      Tile tile;
      tile.multiply(TileRows<T>(op.queries, head, first, op.n_queries), keys, op.head_dim,
                    shared.tile);
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
        const int i = first + Tile::row(r);
        if (i >= op.n_queries) continue;
        const float2 stat = stats[i];
#pragma unroll
        for (int k = 0; k < Tile::kKeys; ++k) {
          if (t0 + Tile::key(k) > n_before + i) continue;
          sums[k] += exp2f(tile.logits[r][k] * op.scale - stat.x) * stat.y;
        }
      }
    }
  }

  // The sum of key threadIdx.x < kTileKeys so far; sums begin anew. Shared memory is free behind
  // the next barrier.
  __device__ float take(const ColumnPasses& op, Shared& shared) {
#pragma unroll
    for (int k = 0; k < Tile::kKeys; ++k) {
      shared.sums[threadIdx.x / Tile::kLanesOfRow][Tile::key(k)] = sums[k];
      sums[k] = 0;
    }
    __syncthreads();
    float sum = 0;
    if (threadIdx.x < kTileKeys) {
      for (int i = 0; i < kSums; ++i) sum += shared.sums[i][threadIdx.x];
    }
    return sum * op.factor;
  }
};

}  // namespace kvbench
