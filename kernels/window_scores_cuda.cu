#include "kernels/cuda_common.cuh"
#include "kernels/window_scores.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

// The larger one, or the NaN.
__device__ float larger(float x, float y) { return y > x || y != y ? y : x; }

// Of `row` [n] around token t.
__device__ float pooled(const float* row, int t, int n, int kernel, WindowScores::Pooling pooling) {
  const int half = kernel / 2;
  const int begin = max(0, t - half), end = min(n, t + half + 1);
  float result = row[begin];
  for (int u = begin + 1; u < end; ++u) {
    result = pooling == WindowScores::Pooling::kMax ? larger(result, row[u]) : result + row[u];
  }
  return pooling == WindowScores::Pooling::kMax ? result : result / static_cast<float>(kernel);
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
    return pooled(rows + int64_t{g} * n, t, n, op.kernel, op.pooling);
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
      pooled(votes + int64_t{blockIdx.y} * group * n, t, n, op.kernel, op.pooling);
}

bool wants_votes(const WindowScores& op) {
  return op.kernel == 1 && op.reduce == WindowScores::Reduce::kNone;
}

}  // namespace

size_t window_scores_workspace_bytes(const WindowScores& op) {
  const size_t votes = wants_votes(op) ? 0 : op.n_heads * op.n_ranked() * sizeof(float);
  return attention_column_sums_workspace_bytes(op.votes()) + votes;
}

CudaStatus window_scores_cuda(const WindowScores& op, CudaStream stream) {
  if (op.kernel % 2 != 1) return cudaErrorInvalidValue;
  AttentionColumnSums sums = op.votes();
  auto* votes = wants_votes(op)
                    ? op.out
                    : reinterpret_cast<float*>(static_cast<char*>(op.workspace) +
                                               attention_column_sums_workspace_bytes(sums));
  sums.out = votes;
  const CudaStatus status = attention_column_sums_cuda(sums, stream);
  if (status != cudaSuccess || wants_votes(op)) return status;

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
  return cudaGetLastError();
}

}  // namespace kvbench
