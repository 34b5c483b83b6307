// Both passes compute the logits, tile by tile, and store none.
#include "kernels/common/column_sums.cuh"
#include "kernels/common/softmax_rows.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = kTileThreads, kKeys = kTileKeys;
constexpr int64_t kSplitKeys = 256;  // fewer keys are not split,
constexpr int64_t kBlocks = 1024;    // nor when there are as many blocks anyway

// grid [tiles of queries, splits of the keys, rows of stats]
template <class Tile, GroupKind kForm>
__global__ void __launch_bounds__(kThreads, kForm == GroupKind::kEach ? 4 : 3)
    stats_kernel(const ColumnPasses op, int keys_of_split) {
  using T = typename Tile::Element;
  __shared__ typename Tile::Shared shared;
  const int group = op.n_heads / op.n_kv_heads;
  const int head = blockIdx.z * (kForm == GroupKind::kLargestLogit ? group : 1);
  const int kv_head = head / group, first = blockIdx.x * Tile::kQueries;
  const int first_position = op.first_position + first;
  SoftmaxRows<Tile> rows;

  const int begin = blockIdx.y * keys_of_split;
  const int end = min(min(begin + keys_of_split, op.n_tokens), first_position + Tile::kQueries);
  for (int t0 = begin; t0 < end; t0 += kKeys) {
    Tile tile;
    multiply_queries<kForm>(tile, op, head, first, TileRows<T>(op.keys, kv_head, t0, op.n_tokens),
                            shared);
    rows.add(tile, op.scale, [&](int r, int k) {
      return t0 + Tile::key(k) <= min(first_position + Tile::row(r), op.n_tokens - 1);
    });
  }

#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r) {
    const float2 stat = rows.of_row(r);
    const int i = first + Tile::row(r);
    if (threadIdx.x % Tile::kLanesOfRow == 0 && i < op.n_queries) {
      op.partials[(int64_t{blockIdx.z} * gridDim.y + blockIdx.y) * op.n_queries + i] = stat;
    }
  }
}

// A thread for every query of every row.
__global__ void __launch_bounds__(kThreads)
    merge_stats_kernel(const ColumnPasses op, int n_stats, int n_splits) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= n_stats) return;
  const float2* partials =
      op.partials + i / op.n_queries * n_splits * op.n_queries + i % op.n_queries;
  float2 stat = partials[0];
  for (int s = 1; s < n_splits; ++s) stat = merged(stat, partials[int64_t{s} * op.n_queries]);
  op.stats[i] = {stat.x, 1 / stat.y};
}

// grid [tiles of keys, H]
template <class Tile, GroupKind kForm>
__global__ void __launch_bounds__(kThreads, kForm == GroupKind::kEach ? 4 : 3)
    sums_kernel(const ColumnPasses op) {
  __shared__ typename ColumnTile<Tile>::Shared shared;
  const int group = op.n_heads / op.n_kv_heads, kv_head = blockIdx.y, t0 = blockIdx.x * kKeys;
  const TileRows<typename Tile::Element> keys(op.keys, kv_head, t0, op.n_tokens);
  ColumnTile<Tile> tile;
  const bool is_of_heads = op.group == AttentionColumnSums::Group::kNone;
  constexpr bool kTogether = kForm != GroupKind::kEach;  // the group's heads
  for (int head = kv_head * group; head < (kv_head + 1) * group; head += kTogether ? group : 1) {
    tile.template add<kForm>(op, head, keys, t0, shared);
    if (!kTogether && !is_of_heads && head % group != group - 1) continue;
    const float sum = tile.take(op, shared);
    const int t = t0 + threadIdx.x;
    if (threadIdx.x < kKeys && t < op.n_columns) {
      op.out[int64_t{is_of_heads ? head : kv_head} * op.n_columns + t] = sum;
    }
    __syncthreads();  // the tiles may come
  }
}

int64_t query_tiles(const AttentionColumnSums& op) {
  int64_t n = 0;
  with_tile(op.dtype, op.n_queries,
            [&](auto tile) { n = (op.n_queries + tile.kQueries - 1) / tile.kQueries; });
  return n;
}

// Rows of stats.
int64_t n_softmaxes(const AttentionColumnSums& op) {
  return op.group == AttentionColumnSums::Group::kMaxLogit ? op.n_kv_heads : op.n_heads;
}

// Ways that the keys are shared out among blocks of the first pass.
int64_t splits(const AttentionColumnSums& op) {
  const int64_t blocks = n_softmaxes(op) * query_tiles(op);
  return min((kBlocks + blocks - 1) / blocks, (op.n_tokens + kSplitKeys - 1) / kSplitKeys);
}

}  // namespace

ColumnPasses launch_column_stats(const AttentionColumnSums& op, CudaStream stream) {
  const int64_t n_stats = n_softmaxes(op) * op.n_queries, n_splits = splits(op);
  auto* stats = static_cast<float2*>(op.workspace);
  const ColumnPasses passes = {
      .queries = op.queries,
      .keys = op.keys,
      .n_heads = static_cast<int>(op.n_heads),
      .n_kv_heads = static_cast<int>(op.n_kv_heads),
      .n_queries = static_cast<int>(op.n_queries),
      .n_tokens = static_cast<int>(op.n_tokens),
      .head_dim = static_cast<int>(op.head_dim),
      .n_columns = static_cast<int>(op.n_columns),
      .first_position = static_cast<int>(op.first_position()),
      .scale = op.scale * 1.4426950408889634F,  // log2(e)
      .factor = op.group == AttentionColumnSums::Group::kMean
                    ? op.factor * static_cast<float>(op.n_kv_heads) / static_cast<float>(op.n_heads)
                    : op.factor,
      .group = op.group,
      .out = op.out,
      .stats = stats,
      .partials = stats + n_stats};
  const auto keys_of_split =
      static_cast<int>(((op.n_tokens + n_splits - 1) / n_splits + kKeys - 1) / kKeys * kKeys);
  const dim3 grid(query_tiles(op), n_splits, n_softmaxes(op));
  with_tile(op.dtype, op.n_queries, [&](auto tile) {
    if (op.group == AttentionColumnSums::Group::kMaxLogit) {
      stats_kernel<decltype(tile), GroupKind::kLargestLogit>
          <<<grid, kThreads, 0, stream>>>(passes, keys_of_split);
    } else {
      stats_kernel<decltype(tile), GroupKind::kEach>
          <<<grid, kThreads, 0, stream>>>(passes, keys_of_split);
    }
  });
  merge_stats_kernel<<<(n_stats + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
      passes, static_cast<int>(n_stats), static_cast<int>(n_splits));
  return passes;
}

bool has_column_sums(const AttentionColumnSums& op) {
  return op.n_heads % op.n_kv_heads == 0 && op.n_heads <= 65535 && op.n_queries > 0 &&
         (!op.causal || op.n_queries <= op.n_tokens) && op.n_columns > 0 &&
         op.n_columns <= op.n_tokens && has_packs(op.queries, op.head_dim, op.dtype) &&
         has_packs(op.keys, op.head_dim, op.dtype);
}

size_t attention_column_sums_workspace_bytes(const AttentionColumnSums& op) {
  return n_softmaxes(op) * op.n_queries * (splits(op) + 1) * sizeof(float2);
}

CudaStatus attention_column_sums_cuda(const AttentionColumnSums& op, CudaStream stream) {
  if (!has_column_sums(op)) return cudaErrorInvalidValue;
  const ColumnPasses passes = launch_column_stats(op, stream);
  const dim3 grid((op.n_columns + kKeys - 1) / kKeys, op.n_kv_heads);
  with_tile(op.dtype, op.n_queries, [&](auto tile) {
    using Tile = decltype(tile);
    using Group = AttentionColumnSums::Group;
    if (op.group == Group::kMax) {
      sums_kernel<Tile, GroupKind::kLargestWeight><<<grid, kThreads, 0, stream>>>(passes);
    } else if (op.group == Group::kMaxLogit) {
      sums_kernel<Tile, GroupKind::kLargestLogit><<<grid, kThreads, 0, stream>>>(passes);
    } else {
      sums_kernel<Tile, GroupKind::kEach><<<grid, kThreads, 0, stream>>>(passes);
    }
  });
  return cudaGetLastError();
}

}  // namespace kvbench
