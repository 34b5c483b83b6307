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
  int group_size, n_queries, n_tokens, head_dim, n_columns;
  int first_position;            // the token up to which the first query sees
  int log2_rows, heads_of_tile;  // heads of a tile lie 2^log2_rows rows apart
  float scale, factor;           // that of the logits makes weights powers of two
  AttentionColumnSums::Group group;
  float* out;
  float* normalizers;  // [rows, Q]; a row of every query head, or, of a group's largest logits, of
                       // every KV head
  float2* partials;    // [rows, splits, Q]: the largest logit and the sum of weights of some keys

  // Which of the tile's heads a row of it is of, one for all rows of a warp, and which query.
  __device__ int head_of(int row) const { return row >> log2_rows; }
  __device__ int query_of(int row) const { return row & ((1 << log2_rows) - 1); }
  // Lays out tiles for the kernel that follows: heads of a group one below the other, where more
  // than one fits.
  template <class Tile>
  void stack_heads(int64_t rows_of_head) {
    log2_rows = Tile::log2_rows(rows_of_head);
    heads_of_tile = min(group_size, Tile::kQueries >> log2_rows);
  }
};

// What is added up of a GQA group: each query head's weights, the largest of them, or the weights
// of its largest logits.
enum class GroupKind { kEach, kLargestWeight, kLargestLogit };

// Queries of n_heads heads from query `first` on.
template <class T>
__device__ TileRows<T> query_rows(const ColumnPasses& op, int head, int n_heads, int first) {
  return {op.queries, head, first, op.n_queries, n_heads, op.log2_rows};
}

// Dot products of them with keys, both fetched; or the largest of a group's heads from `head` on.
template <GroupKind kForm, class Tile>
__device__ void multiply_queries(Tile& tile, const ColumnPasses& op, int head, int n_heads,
                                 int first, const TileRows<typename Tile::Element>& keys,
                                 typename Tile::Shared& shared) {
  using T = typename Tile::Element;
  tile.multiply(query_rows<T>(op, head, n_heads, first), keys, op.head_dim, shared);
  if constexpr (kForm == GroupKind::kLargestLogit) {
    for (int g = 1; g < op.group_size; ++g) {
      Tile other;
      const TileRows<T> queries = query_rows<T>(op, head + g, 1, first);
      Tile::fetch(queries, keys, op.head_dim, shared, Kept::kKeys);
      other.multiply(queries, keys, op.head_dim, shared);
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
    const int row = kForm == GroupKind::kLargestLogit ? head / op.group_size : head;
    const int n_weighed = kForm == GroupKind::kLargestWeight ? op.group_size : 1;
    const auto fetch = [&](int first, int g, Kept kept) {
      if (first >= op.n_queries) return;
      Tile::fetch(query_rows<T>(op, head + g, n_heads, first), keys, op.head_dim, shared.tile,
                  kept);
    };
    // Earlier queries see none of these keys.
    int first = max(0, t0 - op.first_position) / Tile::kQueries * Tile::kQueries;
    fetch(first, 0, Kept::kNothing);
    for (; first < op.n_queries; first += Tile::kQueries) {
      Tile tile;
      for (int g = 0; g < n_weighed; ++g) {
        Tile other;
        multiply_queries<kForm>(other, op, head + g, n_heads, first, keys, shared.tile);
        const bool is_last = g + 1 == n_weighed;
        fetch(is_last ? first + Tile::kQueries : first, is_last ? 0 : g + 1, Kept::kKeys);
        find_logarithms(other, op, row + g, n_heads, first, t0);
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
          for (int k = 0; k < Tile::kKeys; ++k) {
            const float logit = other.logits[r][k];
            tile.logits[r][k] = g == 0 ? logit : larger(tile.logits[r][k], logit);
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
    const int n_parts = (1U << op.log2_rows) / Tile::kRows;
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
  __device__ static void find_logarithms(Tile& tile, const ColumnPasses& op, int row, int n_heads,
                                         int first, int t0) {
    const int of_head = op.head_of(Tile::row(0)), i0 = first + op.query_of(Tile::row(0));
    const auto query = [&](int r) { return i0 + (Tile::row(r) - Tile::row(0)); };
    const bool all_see = n_heads << op.log2_rows == Tile::kQueries &&
                         first + (1 << op.log2_rows) <= op.n_queries &&
                         t0 + kTileKeys - 1 <= op.first_position + first;
    if (!all_see) {
      mask(tile, [&](int r, int k) {
        return of_head < n_heads && query(r) < op.n_queries &&
               t0 + Tile::key(k) <= op.first_position + query(r);
      });
    }
    const int stats = (row + min(of_head, n_heads - 1)) * op.n_queries;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const float normalizer = op.normalizers[stats + min(query(r), op.n_queries - 1)];
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        tile.logits[r][k] = fmaf(tile.logits[r][k], op.scale, -normalizer);
      }
    }
  }
};

}  // namespace kvbench
