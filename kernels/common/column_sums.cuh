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
  int first_position;            // the token up to which the first query sees
  int log2_rows, heads_of_tile;  // heads of a tile lie 2^log2_rows rows apart
  float scale, factor;           // that of the logits makes weights powers of two
  AttentionColumnSums::Group group;
  float* out;
  float* normalizers;  // [rows, Q]; a row of every query head, or, of a group's largest logits, of
                       // every KV head
  float2* partials;    // [rows, splits, Q]: the largest logit and the sum of weights of some keys

  // Which of the tile's heads a row of it is of, and which query.
  __device__ int head_of(int row) const { return row >> log2_rows; }
  __device__ int query_of(int row) const { return row & ((1 << log2_rows) - 1); }
  // Lays out tiles for kernels that follow: heads of a group one below the other, as many as fit.
  template <class Tile>
  void stack_heads(int64_t rows_of_head) {
    log2_rows = Tile::log2_rows(rows_of_head);
    heads_of_tile = min(n_heads / n_kv_heads, Tile::kQueries >> log2_rows);
  }
};

// What is added up of a GQA group: each query head's weights, the largest of them, or the weights
// of its largest logits.
enum class GroupKind { kEach, kLargestWeight, kLargestLogit };

// Dot products of queries with keys: from query `first` on, of n_heads heads; or the largest of a
// group's heads from `head` on.
template <GroupKind kForm, class Tile, class Shared>
__device__ void multiply_queries(Tile& tile, const ColumnPasses& op, int head, int n_heads,
                                 int first, const TileRows<typename Tile::Element>& keys,
                                 Shared& shared, Kept kept) {
  using Rows = TileRows<typename Tile::Element>;
  tile.multiply(Rows(op.queries, head, first, op.n_queries, n_heads, op.log2_rows), keys,
                op.head_dim, shared, kept);
  if constexpr (kForm == GroupKind::kLargestLogit) {
    for (int g = 1; g < op.n_heads / op.n_kv_heads; ++g) {
      Tile other;
      other.multiply(Rows(op.queries, head + g, first, op.n_queries), keys, op.head_dim, shared,
                     Kept::kKeys);
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

// Launches the first pass, for tiles of with_tile().
ColumnPasses launch_column_stats(const AttentionColumnSums& op, CudaStream stream);

// Whether the kernels take it: whole packs of 16 bytes, aligned, and sizes that fit a grid.
bool has_column_sums(const AttentionColumnSums& op);

// The second pass, for a tile of kTileKeys keys from t0 on of one KV head.
template <class Tile>
struct ColumnTile {
  using T = typename Tile::Element;
  static constexpr int kMaxHeads = kTileWarps;
  union Shared {
    typename Tile::Shared tile;
    struct {
      TileParts<Tile> parts;
      float of_heads[kMaxHeads][kTileKeys];
    } sums;
  };
  float sums[Tile::kKeys] = {};

  // Weights of the queries of n_heads heads of a tile, or of the group from `head` on.
  template <GroupKind kForm = GroupKind::kEach>
  __device__ void add(const ColumnPasses& op, int head, int n_heads, const TileRows<T>& keys,
                      int t0, Shared& shared) {
    const int group = op.n_heads / op.n_kv_heads;
    const int row = kForm == GroupKind::kLargestLogit ? head / group : head;
    // Earlier queries see none of these keys.
    Kept kept = Kept::kNothing;
    for (int first = max(0, t0 - op.first_position) / Tile::kQueries * Tile::kQueries;
         first < op.n_queries; first += Tile::kQueries, kept = Kept::kKeys) {
      Tile tile;
      find_logarithms<kForm>(tile, op, head, row, n_heads, first, keys, t0, shared, kept);
      if constexpr (kForm == GroupKind::kLargestWeight) {
        for (int g = 1; g < group; ++g) {
          Tile other;
          find_logarithms<kForm>(other, op, head + g, row + g, 1, first, keys, t0, shared,
                                 Kept::kKeys);
#pragma unroll
          for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
            for (int k = 0; k < Tile::kKeys; ++k) {
              tile.logits[r][k] = larger(tile.logits[r][k], other.logits[r][k]);
            }
          }
        }
      }
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
        for (int k = 0; k < Tile::kKeys; ++k) sums[k] += power_of_two(tile.logits[r][k]);
      }
    }
  }

  // The sums so far of the tile's heads and each key; they begin anew. Shared memory is free behind
  // the next barrier.
  __device__ const float (*take(const ColumnPasses& op, int n_heads, Shared& shared))[kTileKeys] {
    TileParts<Tile>& parts = shared.sums.parts;
    parts.store(sums);
#pragma unroll
    for (float& of_key : sums) of_key = 0;
    __syncthreads();
    const int n_parts = (parts.kCount << op.log2_rows) / Tile::kQueries;
    const int key = threadIdx.x % kTileKeys;
#pragma unroll 1
    for (int head = threadIdx.x / kTileKeys; head < n_heads; head += kTileThreads / kTileKeys) {
      shared.sums.of_heads[head][key] =
          op.factor *
          parts.combine(key, head * n_parts, n_parts, [](float x, float y) { return x + y; });
    }
    __syncthreads();
    return shared.sums.of_heads;
  }

 private:
  // Logits become weights' logarithms; normalizers of the queries are in rows from `row` on.
  template <GroupKind kForm>
  __device__ static void find_logarithms(Tile& tile, const ColumnPasses& op, int head, int row,
                                         int n_heads, int first, const TileRows<T>& keys, int t0,
                                         Shared& shared, Kept kept) {
    multiply_queries<kForm>(tile, op, head, n_heads, first, keys, shared.tile, kept);
    const bool all_see = n_heads << op.log2_rows == Tile::kQueries &&
                         first + (1 << op.log2_rows) <= op.n_queries &&
                         t0 + kTileKeys - 1 <= op.first_position + first;
    if (!all_see) {
      mask(tile, [&](int r, int k) {
        const int i = first + op.query_of(Tile::row(r));
        return op.head_of(Tile::row(r)) < n_heads && i < op.n_queries &&
               t0 + Tile::key(k) <= op.first_position + i;
      });
    }
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const int i = min(first + op.query_of(Tile::row(r)), op.n_queries - 1);
      const int of_head = min(op.head_of(Tile::row(r)), n_heads - 1);
      const float normalizer = op.normalizers[int64_t{row + of_head} * op.n_queries + i];
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        tile.logits[r][k] = fmaf(tile.logits[r][k], op.scale, -normalizer);
      }
    }
  }
};

}  // namespace kvbench
