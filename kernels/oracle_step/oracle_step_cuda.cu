// Keys are read once, by the block that makes the logits of all query heads of their group.
#include "kernels/common/group_logits.cuh"
#include "kernels/oracle_step/oracle_step.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

// grid [token blocks, KV heads].
__global__ void __launch_bounds__(kThreads)
    raise_importance_kernel(SoftmaxMemory softmax, const float* norms, int group, int n_tokens,
                            float* importance) {
  extern __shared__ SoftmaxPart of_queries[];
  const int first_query = blockIdx.y * group;
  combine_rows_of_parts(softmax, first_query, group, of_queries);
  const int t = blockIdx.x * kThreads + threadIdx.x;
  if (t >= n_tokens) return;
  float highest = importance[int64_t{blockIdx.y} * n_tokens + t];
  for (int g = 0; g < group; ++g) {
    const int q = first_query + g;
    highest = fmaxf(highest, softmax_weight(softmax.row(q)[t], of_queries[g]) *
                                 norms[int64_t{q} * n_tokens + t]);
  }
  importance[int64_t{blockIdx.y} * n_tokens + t] = highest;
}

}  // namespace

size_t oracle_step_workspace_bytes(const OracleStep& op) {
  return softmax_bytes(op.n_query_heads, op.n_keys, GroupLogits::kPart);
}

CudaStatus oracle_step_cuda(const OracleStep& op, CudaStream stream) {
  const auto group = static_cast<int>(op.n_query_heads / op.n_heads);
  const GroupLogits logits = {
      op.keys,
      static_cast<int>(op.n_heads),
      group,
      static_cast<int>(op.n_keys),
      static_cast<int>(op.head_dim),
      op.scale,
      softmax_memory(op.workspace, op.n_query_heads, op.n_keys, GroupLogits::kPart)};
  if (!has_packed_rows(op.keys, op.head_dim, op.dtype) || op.n_keys < op.n_tokens ||
      !fits(logits)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_heads * op.n_tokens == 0) return cudaSuccess;
  const dim3 grid((op.n_tokens + kThreads - 1) / kThreads, op.n_heads);
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    launch_group_logits<T>(logits, static_cast<const T*>(op.query), stream);
  });
  raise_importance_kernel<<<grid, kThreads, group * sizeof(SoftmaxPart), stream>>>(
      logits.memory, op.norms, group, static_cast<int>(op.n_tokens), op.importance);
  return cudaGetLastError();
}

}  // namespace kvbench
