// A block a head: a radix select finds the lowest score taken, then the positions are written in
// order. Scores are read six times, of which all but the first come out of L2.
#include "kernels/common/radix_select.cuh"
#include "kernels/select_top/select_top.h"

namespace kvbench {
namespace {

constexpr int kThreads = 1024;

__global__ void __launch_bounds__(kThreads) check_scores_kernel(SelectTop op) {
  const float* scores = op.scores + blockIdx.x * op.n_tokens;
  const int count = op.counts[blockIdx.x];
  int bad = count < 0 || count > op.n_tokens;
  for (int64_t j = threadIdx.x; j < op.n_tokens; j += kThreads) bad |= isnan(scores[j]);
  bad = __syncthreads_or(bad);
  if (threadIdx.x == 0) op.invalid[blockIdx.x] = bad != 0;
}

// Where each head's positions begin. One thread.
__global__ void __launch_bounds__(1) offsets_kernel(SelectTop op) {
  int32_t end = 0;
  op.offsets[0] = 0;
  for (int64_t h = 0; h < op.n_heads; ++h) {
    const bool fits = int64_t{end} + op.counts[h] <= op.n_positions;
    if (op.invalid[h] == 0 && !fits) op.invalid[h] = 1;
    if (op.invalid[h] == 0) end += op.counts[h];
    op.offsets[h + 1] = end;
  }
}

__global__ void __launch_bounds__(kThreads) select_top_kernel(SelectTop op) {
  __shared__ RadixSelect<kThreads> shared;
  const int h = blockIdx.x, n_tokens = static_cast<int>(op.n_tokens);
  const int count = op.offsets[h + 1] - op.offsets[h];
  const float* scores = op.scores + h * op.n_tokens;
  const int sink = static_cast<int>(min(op.sink, op.n_tokens));
  const int recent = static_cast<int>(min(op.recent, op.n_tokens - sink));
  const int n_first = min(sink, count), n_last = min(recent, count - n_first);
  const int begin = sink, end = n_tokens - recent, wanted = count - n_first - n_last;
  int32_t* out = op.positions + op.offsets[h];
  for (int j = threadIdx.x; j < n_first; j += kThreads) out[j] = j;
  for (int j = threadIdx.x; j < n_last; j += kThreads) {
    out[n_first + wanted + j] = n_tokens - n_last + j;
  }
  if (wanted == 0) return;  // the whole block
  shared.find(scores, begin, end, wanted);
  const uint32_t lowest = shared.prefix;
  const int n_ties = shared.left;
  int n_above = 0, n_equal = 0;  // among the tokens before this round's
  for (int round = begin / 4 * 4; round < end; round += 4 * kThreads) {
    const int first = round + 4 * static_cast<int>(threadIdx.x);
    const auto orders = load_orders(scores, first, begin, end);
    int above = 0, equal = 0;
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      above += orders.at[k] > lowest;
      equal += orders.at[k] == lowest;
    }
    int of_round;  // both sums, 16 bits each
    const int before = shared.exclusive_sum(equal << 16 | above, of_round);
    int equal_before = n_equal + (before >> 16);
    int to = n_first + n_above + (before & 0xffff) + min(equal_before, n_ties);
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      const bool is_taken =
          orders.at[k] > lowest || (orders.at[k] == lowest && equal_before++ < n_ties);
      if (is_taken) out[to++] = first + k;
    }
    n_above += of_round & 0xffff;
    n_equal += of_round >> 16;
    __syncthreads();
  }
}

}  // namespace

CudaStatus select_top_cuda(const SelectTop& op, CudaStream stream) {
  if (op.n_tokens > INT32_MAX / 2) return cudaErrorInvalidValue;
  const auto n_heads = static_cast<unsigned>(op.n_heads);
  if (n_heads > 0) check_scores_kernel<<<n_heads, kThreads, 0, stream>>>(op);
  offsets_kernel<<<1, 1, 0, stream>>>(op);
  if (n_heads > 0) select_top_kernel<<<n_heads, kThreads, 0, stream>>>(op);
  return cudaGetLastError();
}

}  // namespace kvbench
