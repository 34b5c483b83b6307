// Every row finds by itself where it comes from, with two searches among its head's kept rows; then
// the rows that move are copied, from behind the new ends to below them, so in any order.
#include "kernels/cache_cut/cache_cut.h"
#include "kernels/common/cuda_common.cuh"
#include "kernels/common/head_of_row.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

// How many of n ascending values are below `bound`.
__device__ int count_below(const int32_t* values, int n, int bound) {
  int low = 0, high = n;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (values[middle] < bound) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// A thread a row.
__global__ void __launch_bounds__(kThreads) source_rows_kernel(CacheCut op) {
  __shared__ int32_t offsets[kMostHeads + 1];
  const int n_heads = static_cast<int>(op.n_kv_heads);
  load_offsets<kThreads>(op.offsets, n_heads, offsets);
  if (blockIdx.x == 0) {
    for (int h = threadIdx.x; h < n_heads; h += kThreads) {
      op.lengths[h] = offsets[h + 1] - offsets[h];
    }
  }
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= offsets[n_heads]) return;
  const int h = head_of_row(offsets, n_heads, i);
  const int32_t* kept = op.positions + offsets[h];
  const int n = offsets[h + 1] - offsets[h], row = i - offsets[h];
  const int before = count_below(kept, n, row);
  // Of the rows below this one `row - before` are holes, of the kept ones the first n_stay stay.
  const bool stays = kept[before] == row;
  op.source_row[i] = stays ? row : kept[count_below(kept, n, n) + row - before];
}

template <class Unit>
__global__ void __launch_bounds__(kThreads) move_rows_kernel(CacheCut op) {
  __shared__ int32_t offsets[kMostHeads + 1];
  const int n_heads = static_cast<int>(op.n_kv_heads);
  load_offsets<kThreads>(op.offsets, n_heads, offsets);
  const int64_t units = op.head_dim * op.element_bytes / int64_t{sizeof(Unit)};
  const int64_t total = offsets[n_heads] * units;
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < total;
       at += int64_t{gridDim.x} * kThreads) {
    const int64_t i = at / units, unit = at % units;
    const int h = head_of_row(offsets, n_heads, i);
    const int64_t row = i - offsets[h], source = op.source_row[i];
    if (source == row) continue;
    const int64_t from = (op.starts[h] + source) * units + unit;
    const int64_t to = (op.starts[h] + row) * units + unit;
    auto *keys = static_cast<Unit*>(op.keys), *values = static_cast<Unit*>(op.values);
    const Unit key = keys[from], value = values[from];
    keys[to] = key;
    values[to] = value;
  }
}

template <class Unit>
void move_rows(const CacheCut& op, CudaStream stream) {
  const int64_t n = op.n_positions * op.head_dim * op.element_bytes / int64_t{sizeof(Unit)};
  const auto blocks = static_cast<unsigned>(min((n + kThreads - 1) / kThreads, int64_t{1} << 16));
  move_rows_kernel<Unit><<<blocks, kThreads, 0, stream>>>(op);
}

}  // namespace

CudaStatus cache_cut_cuda(const CacheCut& op, CudaStream stream) {
  if (op.n_kv_heads > kMostHeads || op.n_positions > INT32_MAX - kThreads ||
      (op.element_bytes != 2 && op.element_bytes != 4)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_kv_heads == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>(max((op.n_positions + kThreads - 1) / kThreads, 1L));
  source_rows_kernel<<<blocks, kThreads, 0, stream>>>(op);
  if (op.n_positions * op.head_dim > 0) {
    const bool packed = op.head_dim * op.element_bytes % 16 == 0 && are_aligned(op.keys, op.values);
    packed ? move_rows<int4>(op, stream) : move_rows<uint16_t>(op, stream);
  }
  return cudaGetLastError();
}

}  // namespace kvbench
