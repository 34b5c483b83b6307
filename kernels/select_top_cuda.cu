// A block a head: a radix select finds the lowest score taken, then the positions are written in
// order. Scores are read six times, of which all but the first come out of L2.
#include "kernels/radix_select.cuh"
#include "kernels/select_top.h"

namespace kvbench {
namespace {

constexpr int kThreads = 512;

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
  int n_written = n_first, n_equal = 0;  // among the tokens before this round's
  for (int round = begin; round < end; round += kThreads) {
    const int j = round + static_cast<int>(threadIdx.x);
    const uint32_t order = j < end ? order_of(scores[j]) : 0;
    const int is_equal = j < end && order == lowest;
    int round_equal, round_taken;
    __syncthreads();
    const int equal_before = n_equal + shared.exclusive_sum(is_equal, round_equal);
    const int is_taken = j < end && (order > lowest || (is_equal && equal_before < n_ties));
    __syncthreads();
    const int taken_before = n_written + shared.exclusive_sum(is_taken, round_taken);
    if (is_taken) out[taken_before] = j;
    n_equal += round_equal;
    n_written += round_taken;
  }
}

}  // namespace

CudaStatus select_top_cuda(const SelectTop& op, CudaStream stream) {
  if (op.n_tokens > INT32_MAX) return cudaErrorInvalidValue;
  const auto n_heads = static_cast<unsigned>(op.n_heads);
  if (n_heads > 0) check_scores_kernel<<<n_heads, kThreads, 0, stream>>>(op);
  offsets_kernel<<<1, 1, 0, stream>>>(op);
  if (n_heads > 0) select_top_kernel<<<n_heads, kThreads, 0, stream>>>(op);
  return cudaGetLastError();
}

}  // namespace kvbench
