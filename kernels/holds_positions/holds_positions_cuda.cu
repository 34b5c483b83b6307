// A thread a kept position: it looks itself up among the wanted ones.
#include <algorithm>

#include "kernels/common/cuda_common.cuh"
#include "kernels/common/head_of_row.cuh"
#include "kernels/holds_positions/holds_positions.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) holds_positions_kernel(HoldsPositions op) {
  __shared__ int32_t offsets[kMostHeads + 1];
  const int n_heads = static_cast<int>(op.n_heads), n_wanted = static_cast<int>(op.n_wanted);
  load_offsets<kThreads>(op.offsets, n_heads, offsets);
  const int64_t n = min(op.n_positions, int64_t{offsets[n_heads]});
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < n;
       i += int64_t{gridDim.x} * kThreads) {
    const int32_t position = op.positions[i];
    int low = 0, high = n_wanted;  // the first that is not lower
    while (low < high) {
      const int middle = (low + high) / 2;
      if (op.wanted[middle] < position) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low == n_wanted || op.wanted[low] != position) continue;
    op.out[int64_t{head_of_row(offsets, n_heads, i)} * n_wanted + low] = 1;
  }
}

}  // namespace

CudaStatus holds_positions_cuda(const HoldsPositions& op, CudaStream stream) {
  if (op.n_heads > kMostHeads) return cudaErrorInvalidValue;
  if (op.n_heads * op.n_wanted == 0) return cudaSuccess;
  const auto status = cudaMemsetAsync(op.out, 0, op.n_heads * op.n_wanted, stream);
  if (status != cudaSuccess || op.n_positions == 0) return status;
  const int64_t blocks = (op.n_positions + kThreads - 1) / kThreads;
  holds_positions_kernel<<<static_cast<unsigned>(std::min<int64_t>(blocks, 1024)), kThreads, 0,
                           stream>>>(op);
  return cudaGetLastError();
}

}  // namespace kvbench
