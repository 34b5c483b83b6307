#include "kernels/common/column_sums.cuh"
#include "kernels/window_scores/window_scores.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

// Of a row's elements begin ... end - 1.
__device__ float pooled(const float* row, int begin, int end, int kernel,
                        WindowScores::Pooling pooling) {
  float result = row[begin];
  for (int u = begin + 1; u < end; ++u) {
    result = pooling == WindowScores::Pooling::kMax ? larger(result, row[u]) : result + row[u];
  }
  return pooling == WindowScores::Pooling::kMax ? result : result / static_cast<float>(kernel);
}

// Of `row` [n] around token t.
__device__ float pooled_around(const float* row, int t, int n, int kernel,
                               WindowScores::Pooling pooling) {
  const int half = kernel / 2;
  return pooled(row, max(0, t - half), min(n, t + half + 1), kernel, pooling);
}

// The second pass and all that follows, where the pooling is narrow: no votes are stored. A tile
// has `half` keys more than scores on either side. grid [tiles, H]
template <class Tile>
__global__ void __launch_bounds__(kTileThreads, Tile::kBlocks)
    scores_kernel(const ColumnPasses passes, const WindowScores op) {
  __shared__ typename ColumnTile<Tile>::Shared shared;
  const int n = passes.n_columns, group = passes.group_size;
  const int kernel = static_cast<int>(op.kernel), half = kernel / 2, width = kTileKeys - 2 * half;
  const int first = blockIdx.x * width, t0 = max(0, first - half), t = t0 + threadIdx.x;
  const bool has_score = t >= first && t < min(first + width, n);
  const TileRows<typename Tile::Element> keys(passes.keys, blockIdx.y, t0, passes.n_tokens);
  const auto pooled_vote = [&](const float* votes) {
    return pooled(votes, max(0, t - half) - t0, min(n, t + half + 1) - t0, kernel, op.pooling);
  };
  const bool pools_last =
      op.order == WindowScores::Order::kGroupFirst && op.reduce != WindowScores::Reduce::kNone;
  ColumnTile<Tile> tile;
  float score = 0;
  for (int g0 = 0; g0 < group; g0 += passes.heads_of_tile) {
    const int head = blockIdx.y * group + g0, n_heads = min(passes.heads_of_tile, group - g0);
    tile.add(passes, head, n_heads, keys, t0, shared);
    const auto* votes = tile.take(passes, n_heads, shared);
    for (int i = 0; threadIdx.x < kTileKeys && i < n_heads; ++i) {
      float vote = votes[i][threadIdx.x];
      if (!pools_last && has_score) vote = pooled_vote(votes[i]);
      if (op.reduce == WindowScores::Reduce::kNone) {
        if (has_score) op.out[int64_t{head + i} * n + t] = vote;
      } else if (g0 + i == 0) {
        score = vote;
      } else {
        score = op.reduce == WindowScores::Reduce::kMax ? larger(score, vote) : score + vote;
      }
    }
    __syncthreads();  // the tiles may come
  }
  if (op.reduce == WindowScores::Reduce::kNone) return;
  if (op.reduce == WindowScores::Reduce::kMean) score /= static_cast<float>(group);
  if (pools_last) {
    float* votes = shared.sums.of_heads[0];
    if (threadIdx.x < kTileKeys) votes[threadIdx.x] = score;
    __syncthreads();
    if (has_score) score = pooled_vote(votes);
  }
  if (has_score) op.out[int64_t{blockIdx.y} * n + t] = score;
}

// Of row(0), ..., row(group - 1).
template <class F>
__device__ float reduced(int group, WindowScores::Reduce reduce, F row) {
  float result = row(0);
  for (int g = 1; g < group; ++g) {
    result = reduce == WindowScores::Reduce::kMax ? larger(result, row(g)) : result + row(g);
  }
  return reduce == WindowScores::Reduce::kMean ? result / static_cast<float>(group) : result;
}

// grid [tokens, rows of out]: the group of a row is pooled, then reduced.
__global__ void __launch_bounds__(kThreads)
    pool_first_kernel(const float* votes, const WindowScores op, int group) {
  const int n = op.n_tokens - op.window, t = blockIdx.x * kThreads + threadIdx.x;
  if (t >= n) return;
  const float* rows = votes + int64_t{blockIdx.y} * group * n;
  op.out[int64_t{blockIdx.y} * n + t] = reduced(group, op.reduce, [&](int g) {
    return pooled_around(rows + int64_t{g} * n, t, n, op.kernel, op.pooling);
  });
}

// grid [tokens, KV heads]: a group's rows are reduced into its first one.
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(float* votes, const WindowScores op, int group) {
  const int n = op.n_tokens - op.window, t = blockIdx.x * kThreads + threadIdx.x;
  if (t >= n) return;
  float* rows = votes + int64_t{blockIdx.y} * group * n;
  rows[t] = reduced(group, op.reduce, [&](int g) { return rows[int64_t{g} * n + t]; });
}

// grid [tokens, KV heads]: the group's first row is pooled.
__global__ void __launch_bounds__(kThreads)
    pool_kernel(const float* votes, const WindowScores op, int group) {
  const int n = op.n_tokens - op.window, t = blockIdx.x * kThreads + threadIdx.x;
  if (t >= n) return;
  op.out[int64_t{blockIdx.y} * n + t] =
      pooled_around(votes + int64_t{blockIdx.y} * group * n, t, n, op.kernel, op.pooling);
}

// Tiles would overlap by half or more.
bool is_wide(const WindowScores& op) { return op.kernel > kTileKeys / 2; }

template <class Tile>
void launch_scores(const WindowScores& op, const ColumnPasses& passes, cudaStream_t stream) {
  const auto width = kTileKeys - op.kernel / 2 * 2;
  const dim3 grid((op.n_ranked() + width - 1) / width, op.n_kv_heads);
  scores_kernel<Tile><<<grid, kTileThreads, 0, stream>>>(passes, op);
}

// Votes [Hq, n], pooled and reduced into scores.
void launch_pooling(const WindowScores& op, float* votes, cudaStream_t stream) {
  const bool reduces = op.reduce != WindowScores::Reduce::kNone;
  const auto n_rows = static_cast<unsigned>(reduces ? op.n_kv_heads : op.n_heads);
  const int group = static_cast<int>(op.n_heads) / static_cast<int>(n_rows);
  const dim3 grid(static_cast<unsigned>((op.n_ranked() + kThreads - 1) / kThreads), n_rows);
  if (reduces && op.order == WindowScores::Order::kGroupFirst) {
    reduce_kernel<<<grid, kThreads, 0, stream>>>(votes, op, group);
    pool_kernel<<<grid, kThreads, 0, stream>>>(votes, op, group);
  } else {
    pool_first_kernel<<<grid, kThreads, 0, stream>>>(votes, op, group);
  }
}

}  // namespace

size_t window_scores_workspace_bytes(const WindowScores& op) {
  const size_t votes = is_wide(op) ? op.n_heads * op.n_ranked() * sizeof(float) : 0;
  return attention_column_sums_workspace_bytes(op.votes()) + votes;
}

CudaStatus window_scores_cuda(const WindowScores& op, CudaStream stream) {
  AttentionColumnSums sums = op.votes();
  if (op.kernel % 2 != 1 || !has_column_sums(sums)) return cudaErrorInvalidValue;
  if (is_wide(op)) {
    auto* votes = reinterpret_cast<float*>(static_cast<char*>(op.workspace) +
                                           attention_column_sums_workspace_bytes(sums));
    sums.out = votes;
    const CudaStatus status = attention_column_sums_cuda(sums, stream);
    if (status != cudaSuccess) return status;
    launch_pooling(op, votes, stream);
  } else {
    const ColumnPasses passes = launch_column_stats(sums, stream);
    with_tile(sums.dtype, sums.n_queries, sums.n_heads / sums.n_kv_heads,
              [&](auto tile) { launch_scores<decltype(tile)>(op, passes, stream); });
  }
  return cudaGetLastError();
}

}  // namespace kvbench
