// Memory bound: every kept row is read and written once, neighbouring threads take neighbouring
// units of a row.
#include "kernels/cache_rows/cache_gather.h"
#include "kernels/common/cuda_common.cuh"
#include "kernels/common/head_of_row.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

template <class Unit>
__device__ void copy_unit(const HeadRows& from, int64_t row, int element_bytes, int64_t unit,
                          void* to, int64_t to_unit) {
  const auto* bytes = static_cast<const char*>(from.data) + row * element_bytes;
  static_cast<Unit*>(to)[to_unit] = reinterpret_cast<const Unit*>(bytes)[unit];
}

template <class Unit>
__global__ void __launch_bounds__(kThreads) cache_gather_kernel(CacheGather op, int64_t n_most) {
  __shared__ int32_t offsets[kMostHeads + 1];
  const int n_heads = static_cast<int>(op.n_kv_heads);
  load_offsets<kThreads>(op.offsets, n_heads, offsets);
  const auto bytes = static_cast<int>(op.element_bytes);
  const int64_t units = op.head_dim * bytes / int64_t{sizeof(Unit)};
  const int64_t total = min(n_most, int64_t{offsets[n_heads]}) * units;
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < total;
       at += int64_t{gridDim.x} * kThreads) {
    const int64_t i = at / units, unit = at % units;
    const int h = head_of_row(offsets, n_heads, i);
    const int64_t position = op.positions[i];
    const int64_t to = (op.starts[h] + i - offsets[h]) * units + unit;
    copy_unit<Unit>(op.keys, h * op.keys.head_stride + position * op.keys.row_stride, bytes, unit,
                    op.out_keys, to);
    copy_unit<Unit>(op.values, h * op.values.head_stride + position * op.values.row_stride, bytes,
                    unit, op.out_values, to);
  }
}

template <class Unit>
void launch(const CacheGather& op, CudaStream stream) {
  const int64_t n = op.n_rows * op.head_dim * op.element_bytes / int64_t{sizeof(Unit)};
  const auto blocks = static_cast<unsigned>(min((n + kThreads - 1) / kThreads, int64_t{1} << 16));
  cache_gather_kernel<Unit><<<blocks, kThreads, 0, stream>>>(op, op.n_rows);
}

}  // namespace

CudaStatus cache_gather_cuda(const CacheGather& op, CudaStream stream) {
  const int64_t bytes = op.element_bytes;
  if (op.n_kv_heads > kMostHeads || (bytes != 2 && bytes != 4)) return cudaErrorInvalidValue;
  if (op.n_rows * op.head_dim == 0) return cudaSuccess;
  const bool packed = op.head_dim * bytes % 16 == 0 && has_packs(op.keys, bytes) &&
                      has_packs(op.values, bytes) && are_aligned(op.out_keys, op.out_values);
  packed ? launch<int4>(op, stream) : launch<uint16_t>(op, stream);
  return cudaGetLastError();
}

}  // namespace kvbench
