// Memory bound: a row is read once by the lanes that share it.
#include "kernels/common/row_lanes.cuh"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kRowsOfBlock = 128;

// grid [row blocks, heads].
template <class T, int kP>
__global__ void __launch_bounds__(kThreads)
    row_norms_kernel(HeadRows rows, int n_rows, int head_dim, float* out) {
  const RowLanes<T> lanes(head_dim);
  const T* of_head = static_cast<const T*>(rows.data) + blockIdx.y * rows.head_stride;
  float* of_out = out + int64_t{blockIdx.y} * n_rows;
  const int first = blockIdx.x * kRowsOfBlock, end = min(n_rows, first + kRowsOfBlock);
  const auto share = [](const RowPart<T>& x) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < x.kSize; ++i) sum += kP == 1 ? fabsf(x[i]) : x[i] * x[i];
    return sum;
  };
  lanes.sum_rows(of_head, rows.row_stride, first, end, share,
                 [&](int row, float sum) { of_out[row] = kP == 1 ? sum : sqrtf(sum); });
}

template <class T, int kP>
void launch(const RowNorms& op, CudaStream stream) {
  const dim3 grid((op.n_rows + kRowsOfBlock - 1) / kRowsOfBlock, op.n_heads);
  row_norms_kernel<T, kP><<<grid, kThreads, 0, stream>>>(op.rows, static_cast<int>(op.n_rows),
                                                         static_cast<int>(op.head_dim), op.out);
}

}  // namespace

CudaStatus row_norms_cuda(const RowNorms& op, CudaStream stream) {
  if ((op.p != 1 && op.p != 2) || !has_packed_rows(op.rows, op.head_dim, op.dtype)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_heads * op.n_rows == 0) return cudaSuccess;
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    op.p == 1 ? launch<T, 1>(op, stream) : launch<T, 2>(op, stream);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
