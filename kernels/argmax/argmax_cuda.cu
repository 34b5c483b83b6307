// A block reduces a piece of a row, a warp then the pieces of a row. Logit and column are one
// integer in the order of both, the lower column above.
#include "kernels/argmax/argmax.h"
#include "kernels/common/radix_select.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kPiece = 4096;  // columns of a block: a row of any model has blocks enough

using Candidate = unsigned long long;

// A NaN is above everything: its order is one that no number has.
__device__ Candidate candidate(float logit, int64_t column) {
  if (isnan(logit)) return ~Candidate{0};
  return Candidate{order_of(logit)} << 32 | ~static_cast<uint32_t>(column);
}

__device__ Candidate warp_best(Candidate best) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    best = max(best, __shfl_xor_sync(kWholeWarp, best, distance));
  }
  return best;
}

int64_t n_pieces(const Argmax& op) { return (op.n_columns + kPiece - 1) / kPiece; }

// grid [pieces, rows].
template <bool kPacked>
__global__ void __launch_bounds__(kThreads) best_of_piece_kernel(Argmax op, Candidate* best_of) {
  __shared__ Candidate of_warps[kThreads / kWarp];
  const float* logits = op.logits + blockIdx.y * op.n_columns;
  const int64_t begin = blockIdx.x * kPiece, end = min(begin + kPiece, op.n_columns);
  Candidate best = 0;
  if constexpr (kPacked) {
    constexpr int kSize = Pack<float>::kSize;
    for (int64_t v = begin + threadIdx.x * kSize; v < end; v += kThreads * kSize) {
      const Pack<float> pack = load_pack(logits + v);
#pragma unroll
      for (int k = 0; k < kSize; ++k) best = max(best, candidate(pack.at[k], v + k));
    }
  } else {
    for (int64_t v = begin + threadIdx.x; v < end; v += kThreads) {
      best = max(best, candidate(logits[v], v));
    }
  }
  best = warp_best(best);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = best;
  __syncthreads();
  if (threadIdx.x > 0) return;
  for (const Candidate of_warp : of_warps) best = max(best, of_warp);
  best_of[int64_t{blockIdx.y} * gridDim.x + blockIdx.x] = best;
}

// A warp a row.
__global__ void __launch_bounds__(kWarp)
    best_of_row_kernel(Argmax op, const Candidate* best_of, int pieces) {
  Candidate best = 0;
  for (int i = threadIdx.x; i < pieces; i += kWarp) {
    best = max(best, best_of[int64_t{blockIdx.x} * pieces + i]);
  }
  best = warp_best(best);
  if (threadIdx.x > 0) return;
  const bool has_nan = best == ~Candidate{0};
  op.ids[blockIdx.x] = has_nan ? -1 : int64_t{~static_cast<uint32_t>(best)};
}

}  // namespace

size_t argmax_workspace_bytes(const Argmax& op) {
  return static_cast<size_t>(op.n_rows * n_pieces(op)) * sizeof(Candidate);
}

CudaStatus argmax_cuda(const Argmax& op, CudaStream stream) {
  if (op.n_rows > 65535 || op.n_columns < 1 || op.n_columns > INT32_MAX) {
    return cudaErrorInvalidValue;
  }
  if (op.n_rows == 0) return cudaSuccess;
  auto* best_of = static_cast<Candidate*>(op.workspace);
  const auto pieces = static_cast<unsigned>(n_pieces(op)), rows = static_cast<unsigned>(op.n_rows);
  const dim3 grid(pieces, rows);
  if (op.n_columns % Pack<float>::kSize == 0 && are_aligned(op.logits)) {
    best_of_piece_kernel<true><<<grid, kThreads, 0, stream>>>(op, best_of);
  } else {
    best_of_piece_kernel<false><<<grid, kThreads, 0, stream>>>(op, best_of);
  }
  best_of_row_kernel<<<rows, kWarp, 0, stream>>>(op, best_of, static_cast<int>(pieces));
  return cudaGetLastError();
}

}  // namespace kvbench
