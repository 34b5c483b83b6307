// Memory bound: a head's rows lie side by side in both buffers. Heads come along as arguments of the
// kernel, so that nothing is copied to the device before it can start.
#include <algorithm>

#include "kernels/cache_rows/cache_move.h"
#include "kernels/common/cuda_common.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kUnitsOfThread = 4, kHeadsOfLaunch = 64;

struct Heads {
  CacheMove::Head at[kHeadsOfLaunch];
};

// grid [blocks of a head, heads].
template <class Unit>
__global__ void __launch_bounds__(kThreads)
    cache_move_kernel(const CacheMove op, const __grid_constant__ Heads heads) {
  const CacheMove::Head head = heads.at[blockIdx.y];
  const int64_t units = op.row_bytes / int64_t{sizeof(Unit)}, total = head.n_rows * units;
  const auto* keys = static_cast<const Unit*>(op.keys) + head.from * units;
  const auto* values = static_cast<const Unit*>(op.values) + head.from * units;
  auto* out_keys = static_cast<Unit*>(op.out_keys) + head.to * units;
  auto* out_values = static_cast<Unit*>(op.out_values) + head.to * units;
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < total;
       at += int64_t{gridDim.x} * kThreads) {
    out_keys[at] = keys[at];
    out_values[at] = values[at];
  }
}

template <class Unit>
void launch(CacheMove op, CudaStream stream) {
  while (!op.heads.empty()) {
    const auto some = op.heads.first(std::min<size_t>(kHeadsOfLaunch, op.heads.size()));
    op.heads = op.heads.subspan(some.size());
    Heads heads = {};
    int64_t most = 0;
    for (size_t h = 0; h < some.size(); ++h) {
      heads.at[h] = some[h];
      most = std::max(most, some[h].n_rows * op.row_bytes / int64_t{sizeof(Unit)});
    }
    if (most == 0) continue;
    const int64_t of_block = kThreads * kUnitsOfThread;
    const int64_t blocks = std::min((most + of_block - 1) / of_block, int64_t{1} << 16);
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(some.size()));
    cache_move_kernel<Unit><<<grid, kThreads, 0, stream>>>(op, heads);
  }
}

}  // namespace

CudaStatus cache_move_cuda(const CacheMove& op, CudaStream stream) {
  if (op.row_bytes % 2 != 0) return cudaErrorInvalidValue;
  const bool packed =
      op.row_bytes % 16 == 0 && are_aligned(op.keys, op.values, op.out_keys, op.out_values);
  packed ? launch<int4>(op, stream) : launch<uint16_t>(op, stream);
  return cudaGetLastError();
}

}  // namespace kvbench
