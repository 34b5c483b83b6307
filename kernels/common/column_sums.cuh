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
  int first_position;   // the token up to which the first query sees
  float scale, factor;  // that of the logits makes weights powers of two
  AttentionColumnSums::Group group;
  float* out;
  float2* stats;     // [rows, Q]: the largest logit, and one over the sum of weights; a row of
                     // every query head, or, of a group's largest logits, of every KV head
  float2* partials;  // [rows, splits, Q]: the same of some keys, and the sum itself
};

// What is added up of a GQA group: each query head's weights, the largest of them, or the weights
// of its largest logits.
enum class GroupKind { kEach, kLargestWeight, kLargestLogit };

// Dot products of a head's queries from `first` on with keys; or the largest of a group's heads
// from it on.
template <GroupKind kForm, class Tile, class Shared>
__device__ void multiply_queries(Tile& tile, const ColumnPasses& op, int head, int first,
                                 const TileRows<typename Tile::Element>& keys, Shared& shared) {
  using Rows = TileRows<typename Tile::Element>;
  tile.multiply(Rows(op.queries, head, first, op.n_queries), keys, op.head_dim, shared);
  if constexpr (kForm == GroupKind::kLargestLogit) {
    for (int g = 1; g < op.n_heads / op.n_kv_heads; ++g) {
      Tile other;
      other.multiply(Rows(op.queries, head + g, first, op.n_queries), keys, op.head_dim, shared);
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
        for (int k = 0; k < Tile::kKeys; ++k) {
          tile.logits[r][k] = larger(tile.logits[r][k], other.logits[r][k]);
        }
      }
    }
  }
}

// Launches the first pass, for a tile of with_tile().
ColumnPasses launch_column_stats(const AttentionColumnSums& op, CudaStream stream);

// Whether the kernels take it: whole packs of 16 bytes, aligned, and sizes that fit a grid.
bool has_column_sums(const AttentionColumnSums& op);

// The second pass, for a tile of kTileKeys keys from t0 on of one KV head.
template <class Tile>
struct ColumnTile {
  using T = typename Tile::Element;
  union Shared {
    typename Tile::Shared tile;
    TileParts<Tile> sums;
  };
  float sums[Tile::kKeys] = {};

  // Weights of the queries of `head`, or of the group from it on.
  template <GroupKind kForm = GroupKind::kEach>
  __device__ void add(const ColumnPasses& op, int head, const TileRows<T>& keys, int t0,
                      Shared& shared) {
    const int group = op.n_heads / op.n_kv_heads;
    const int row = kForm == GroupKind::kLargestLogit ? head / group : head;
    // Earlier queries see none of these keys.
    for (int first = max(0, t0 - op.first_position) / Tile::kQueries * Tile::kQueries;
         first < op.n_queries; first += Tile::kQueries) {
      if constexpr (kForm == GroupKind::kLargestWeight) {
        float largest[Tile::kRows][Tile::kKeys] = {};
        for (int g = 0; g < group; ++g) {
          weigh<kForm>(
              op, head + g, row + g, first, keys, t0, shared,
              [&](int r, int k, float weight) { largest[r][k] = larger(largest[r][k], weight); });
        }
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
          for (int k = 0; k < Tile::kKeys; ++k) sums[k] += largest[r][k];
        }
      } else {
        weigh<kForm>(op, head, row, first, keys, t0, shared,
                     [&](int, int k, float weight) { sums[k] += weight; });
      }
    }
  }

  // The sum of key threadIdx.x < kTileKeys so far; sums begin anew. Shared memory is free behind
  // the next barrier.
  __device__ float take(const ColumnPasses& op, Shared& shared) {
    const float sum = combine_keys<Tile>(sums, shared.sums, [](float x, float y) { return x + y; });
#pragma unroll
    for (float& of_key : sums) of_key = 0;
    return sum * op.factor;
  }

 private:
  // Calls f(r, k, weight) for the tile's weights of the queries from `first` on, whose stats are in
  // a row of their own.
  template <GroupKind kForm, class F>
  __device__ static void weigh(const ColumnPasses& op, int head, int row, int first,
                               const TileRows<T>& keys, int t0, Shared& shared, F f) {
    const float2* stats = op.stats + int64_t{row} * op.n_queries;
    Tile tile;
    multiply_queries<kForm>(tile, op, head, first, keys, shared.tile);
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const int i = first + Tile::row(r);
      if (i >= op.n_queries) continue;
      const float2 stat = stats[i];
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        if (t0 + Tile::key(k) > op.first_position + i) continue;
        f(r, k, exp2f(tile.logits[r][k] * op.scale - stat.x) * stat.y);
      }
    }
  }
};

}  // namespace kvbench
