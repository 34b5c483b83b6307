// Both passes compute the logits, tile by tile, and store none.
#include "kernels/common/column_sums.cuh"
#include "kernels/common/softmax_rows.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = kTileThreads, kKeys = kTileKeys, kMergeLanes = 8;
using enum GroupKind;
template <GroupKind kForm>
using Form = std::integral_constant<GroupKind, kForm>;
constexpr int64_t kSplitKeys = 256;  // fewer keys are not split,
constexpr int64_t kBlocks = 1024;    // nor when there are as many blocks anyway

// grid [tiles of queries, splits of the keys, tiles of heads]
template <class Tile, GroupKind kForm>
__global__ void __launch_bounds__(kThreads, kForm == kEach ? Tile::kBlocks : 3)
    stats_kernel(const ColumnPasses op, int keys_of_split) {
  using T = typename Tile::Element;
  __shared__ typename Tile::Shared shared;
  const int group = op.group_size;
  constexpr bool kTogether = kForm == kLargestLogit;
  const int heads_of_tile = kTogether ? group : op.heads_of_tile;
  const int tiles_of_group = (group + heads_of_tile - 1) / heads_of_tile;
  const int kv_head = blockIdx.z / tiles_of_group;
  const int of_group = blockIdx.z % tiles_of_group * heads_of_tile;
  const int head = kv_head * group + of_group;
  const int n_heads = kTogether ? 1 : min(heads_of_tile, group - of_group);
  const int first = blockIdx.x * Tile::kQueries, first_position = op.first_position + first;
  const int of_head = op.head_of(Tile::row(0)), query = op.query_of(Tile::row(0));
  SoftmaxRows<Tile> rows;

  const int begin = blockIdx.y * keys_of_split;
  const int end = min(min(begin + keys_of_split, op.n_tokens), first_position + Tile::kQueries);
  const auto keys = [&](int t0) { return TileRows<T>(op.keys, kv_head, t0, op.n_tokens); };
  const auto fetch = [&](int t0, Kept kept) {
    if (t0 >= end) return;
    Tile::fetch(query_rows<T>(op, head, n_heads, first), keys(t0), op.head_dim, shared, kept);
  };
  fetch(begin, Kept::kNothing);
  for (int t0 = begin; t0 < end; t0 += kKeys) {
    Tile tile;
    multiply_queries<kForm>(tile, op, head, n_heads, first, keys(t0), shared);
    fetch(t0 + kKeys, kTogether ? Kept::kNothing : Kept::kQueries);
    const int seen = first_position - t0, left = op.n_tokens - t0;  // seen by the first query
    if (kKeys - 1 > min(seen, left - 1)) {
      mask(tile, [&](int r, int k) {
        return Tile::key(k) < left && Tile::key(k) - (Tile::row(r) - Tile::row(0)) <= seen + query;
      });
    }
    rows.add(tile, op.scale);
  }

  const int row = (kTogether ? kv_head : head) + of_head;
#pragma unroll
  for (int r = 0; r < Tile::kRows; ++r) {
    const float2 stat = rows.of_row(r);
    const int i = first + query + (Tile::row(r) - Tile::row(0));
    if (threadIdx.x % Tile::kLanesOfRow == 0 && of_head < n_heads && i < op.n_queries) {
      op.partials[(int64_t{row} * gridDim.y + blockIdx.y) * op.n_queries + i] = stat;
    }
  }
}

// kMergeLanes threads for every query of every row.
__global__ void __launch_bounds__(kThreads)
    merge_stats_kernel(const ColumnPasses op, int n_stats, int n_splits) {
  const int64_t own = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / kMergeLanes;
  const int lane = threadIdx.x % kMergeLanes;
  const auto i = static_cast<int>(min(own, int64_t{n_stats - 1}));
  const float2* partials =
      op.partials + int64_t{i / op.n_queries} * n_splits * op.n_queries + i % op.n_queries;
  float2 stat = {-FLT_MAX, 0};
  for (int s = lane; s < n_splits; s += kMergeLanes) {
    stat = merged(stat, partials[int64_t{s} * op.n_queries]);
  }
  stat = merged_over_lanes<kMergeLanes>(stat);
  if (lane == 0 && own < n_stats) op.normalizers[i] = normalizer(stat);
}

// grid [tiles of keys, H]
template <class Tile, GroupKind kForm>
__global__ void __launch_bounds__(kThreads, kForm == kEach ? Tile::kBlocks : 3)
    sums_kernel(const ColumnPasses op) {
  __shared__ typename ColumnTile<Tile>::Shared shared;
  const int group = op.group_size, kv_head = blockIdx.y, t0 = blockIdx.x * kKeys;
  const TileRows<typename Tile::Element> keys(op.keys, kv_head, t0, op.n_tokens);
  ColumnTile<Tile> tile;
  const bool is_of_heads = op.group == AttentionColumnSums::Group::kNone;
  constexpr bool kTogether = kForm != kEach;  // the group's heads
  const int t = t0 + threadIdx.x;
  const bool has_sum = threadIdx.x < kKeys && t < op.n_columns;
  float sum = 0;
  for (int g = 0; g < group; g += kTogether ? group : op.heads_of_tile) {
    const int head = kv_head * group + g, n_heads = min(op.heads_of_tile, group - g);
    tile.template add<kForm>(op, head, n_heads, keys, t0, shared);
    const auto* sums = tile.take(op, n_heads, shared);
    for (int i = 0; has_sum && i < n_heads; ++i) {
      if (is_of_heads) {
        op.out[int64_t{head + i} * op.n_columns + t] = sums[i][threadIdx.x];
      } else {
        sum += sums[i][threadIdx.x];
      }
    }
    __syncthreads();  // the tiles may come
  }
  if (has_sum && !is_of_heads) op.out[int64_t{kv_head} * op.n_columns + t] = sum;
}

// Rows of stats.
int64_t n_softmaxes(const AttentionColumnSums& op) {
  return op.group == AttentionColumnSums::Group::kMaxLogit ? op.n_kv_heads : op.n_heads;
}

// Calls f with the first pass's kind of tile and form.
template <class F>
void with_stats_tile(const AttentionColumnSums& op, F f) {
  if (op.group == AttentionColumnSums::Group::kMaxLogit) {
    with_tile_of_two(op.dtype, op.n_queries, [&](auto tile) { f(tile, Form<kLargestLogit>()); });
  } else {
    with_tile(op.dtype, op.n_queries, op.n_heads / op.n_kv_heads,
              [&](auto tile) { f(tile, Form<kEach>()); });
  }
}

// The first pass's tiles of queries, and of heads.
dim3 query_tiles(const AttentionColumnSums& op) {
  const int64_t group = op.n_heads / op.n_kv_heads;
  dim3 tiles;
  with_stats_tile(op, [&](auto tile, auto form) {
    const int64_t heads =
        form == kLargestLogit ? group : tile.kQueries >> tile.log2_rows(op.n_queries);
    tiles.x = (op.n_queries + tile.kQueries - 1) / tile.kQueries;
    tiles.z = op.n_kv_heads * ((group + heads - 1) / heads);
  });
  return tiles;
}

// Ways that the keys are shared out among blocks of the first pass.
int64_t splits(const AttentionColumnSums& op) {
  const dim3 tiles = query_tiles(op);
  const int64_t blocks = int64_t{tiles.x} * tiles.z;
  return min((kBlocks + blocks - 1) / blocks, (op.n_tokens + kSplitKeys - 1) / kSplitKeys);
}

}  // namespace

ColumnPasses launch_column_stats(const AttentionColumnSums& op, CudaStream stream) {
  const int64_t n_stats = n_softmaxes(op) * op.n_queries, n_splits = splits(op);
  auto* partials = static_cast<float2*>(op.workspace);
  ColumnPasses passes = {
      .queries = op.queries,
      .keys = op.keys,
      .group_size = static_cast<int>(op.n_heads / op.n_kv_heads),
      .n_queries = static_cast<int>(op.n_queries),
      .n_tokens = static_cast<int>(op.n_tokens),
      .head_dim = static_cast<int>(op.head_dim),
      .n_columns = static_cast<int>(op.n_columns),
      .first_position = static_cast<int>(op.first_position()),
      .log2_rows = 0,
      .heads_of_tile = 0,
      .scale = op.scale * 1.4426950408889634F,  // log2(e)
      .factor = op.group == AttentionColumnSums::Group::kMean
                    ? op.factor * static_cast<float>(op.n_kv_heads) / static_cast<float>(op.n_heads)
                    : op.factor,
      .group = op.group,
      .out = op.out,
      .normalizers = reinterpret_cast<float*>(partials + n_splits * n_stats),
      .partials = partials};
  const auto keys_of_split =
      static_cast<int>(((op.n_tokens + n_splits - 1) / n_splits + kKeys - 1) / kKeys * kKeys);
  dim3 grid = query_tiles(op);
  grid.y = n_splits;
  with_stats_tile(op, [&](auto tile, auto form) {
    using Tile = decltype(tile);
    passes.stack_heads<Tile>(form == kEach ? op.n_queries : Tile::kQueries);
    stats_kernel<Tile, form><<<grid, kThreads, 0, stream>>>(passes, keys_of_split);
  });
  const int64_t n_threads = n_stats * kMergeLanes;
  merge_stats_kernel<<<(n_threads + kThreads - 1) / kThreads, kThreads, 0, stream>>>(
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
  return n_softmaxes(op) * op.n_queries * (splits(op) * sizeof(float2) + sizeof(float));
}

CudaStatus attention_column_sums_cuda(const AttentionColumnSums& op, CudaStream stream) {
  if (!has_column_sums(op)) return cudaErrorInvalidValue;
  ColumnPasses passes = launch_column_stats(op, stream);
  const dim3 grid((op.n_columns + kKeys - 1) / kKeys, op.n_kv_heads);
  const auto launch = [&](auto tile, auto form) {
    using Tile = decltype(tile);
    passes.stack_heads<Tile>(form == kEach ? op.n_queries : Tile::kQueries);
    sums_kernel<Tile, form><<<grid, kThreads, 0, stream>>>(passes);
  };
  if (op.group == AttentionColumnSums::Group::kMax) {
    with_tile_of_two(op.dtype, op.n_queries,
                     [&](auto tile) { launch(tile, Form<kLargestWeight>()); });
  } else {
    with_stats_tile(op, launch);
  }
  return cudaGetLastError();
}

}  // namespace kvbench
