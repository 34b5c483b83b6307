// Rows are told apart first: what a row's safe scores end with. Then all the others compete in one
// radix select over all rows, a histogram and a choice for each 8 bits, and are counted. Only
// integers are added atomically, so that the result is one whatever the schedule.
#include "kernels/common/radix_select.cuh"
#include "kernels/flattened_counts/flattened_counts.h"

namespace kvbench {
namespace {

constexpr int kThreads = 512;
using Select = RadixSelect<kThreads>;

struct RowState {
  uint32_t safe_end;  // order of the lowest safe score; nothing above it competes
  int n_safe_equal;   // of the scores that equal it, as many are safe
  int n_above, n_equal;
};

struct State {
  int histogram[Select::kBins];
  uint32_t prefix, mask;
  int left;  // scores still to be taken
};

struct Workspace {
  State* state;
  RowState* rows;
};

Workspace workspace_of(const FlattenedCounts& op) {
  auto* state = static_cast<State*>(op.workspace);
  return {state, reinterpret_cast<RowState*>(state + 1)};
}

// A block a row.
__global__ void __launch_bounds__(kThreads) end_of_safe_kernel(FlattenedCounts op, Workspace work) {
  __shared__ Select shared;
  const int r = blockIdx.x;
  if (r == 0) {
    for (int b = threadIdx.x; b < Select::kBins; b += kThreads) work.state->histogram[b] = 0;
    if (threadIdx.x == 0) {
      work.state->prefix = work.state->mask = 0;
      work.state->left = static_cast<int>(op.total - op.n_rows * op.safe);
    }
  }
  RowState row = {0xffffffffU, 0, 0, 0};
  if (op.safe > 0) {
    shared.find(op.scores + r * op.n_columns, 0, static_cast<int>(op.n_columns),
                static_cast<int>(op.safe));
    row = {shared.prefix, shared.left, 0, 0};
  }
  if (threadIdx.x == 0) work.rows[r] = row;
}

__global__ void __launch_bounds__(kThreads)
    histogram_kernel(FlattenedCounts op, Workspace work, int shift) {
  __shared__ Select shared;
  const float* scores = op.scores + blockIdx.x * op.n_columns;
  const RowState row = work.rows[blockIdx.x];
  const uint32_t prefix = work.state->prefix, mask = work.state->mask;
  shared.clear_histogram();
  Select::for_each_order(scores, 0, static_cast<int>(op.n_columns), [&](uint32_t order) {
    const bool competes = order > 0 && order <= row.safe_end && (order & mask) == prefix;
    shared.count(order >> shift & (Select::kBins - 1), competes);
  });
  __syncthreads();
  for (int b = threadIdx.x; b < Select::kBins; b += kThreads) {
    int n = shared.histogram[b];
    const bool holds_end =
        (row.safe_end & mask) == prefix &&
        (row.safe_end >> shift & (Select::kBins - 1)) == static_cast<uint32_t>(b);
    if (holds_end) n -= row.n_safe_equal;
    if (n > 0) atomicAdd(&work.state->histogram[b], n);
  }
}

// One block.
__global__ void __launch_bounds__(kThreads) choose_kernel(Workspace work, int shift) {
  __shared__ Select shared;
  for (int b = threadIdx.x; b < Select::kBins; b += kThreads) {
    shared.histogram[b] = work.state->histogram[b];
    work.state->histogram[b] = 0;
  }
  __syncthreads();
  shared.choose_bin(shift, work.state->prefix, work.state->left);
  if (threadIdx.x == 0) {
    work.state->prefix = shared.prefix;
    work.state->left = shared.left;
    work.state->mask |= uint32_t{Select::kBins - 1} << shift;
  }
}

__global__ void __launch_bounds__(kThreads) count_kernel(FlattenedCounts op, Workspace work) {
  __shared__ Select shared;
  const float* scores = op.scores + blockIdx.x * op.n_columns;
  const RowState row = work.rows[blockIdx.x];
  const uint32_t lowest = work.state->prefix;
  int above = 0, equal = 0;
  Select::for_each_order(scores, 0, static_cast<int>(op.n_columns), [&](uint32_t order) {
    if (order > row.safe_end) return;
    above += order > lowest;
    equal += order == lowest;
  });
  int n_above, n_equal;
  shared.exclusive_sum(above, n_above);
  __syncthreads();
  shared.exclusive_sum(equal, n_equal);
  if (threadIdx.x != 0) return;
  (row.safe_end > lowest ? n_above : n_equal) -= row.safe_end >= lowest ? row.n_safe_equal : 0;
  work.rows[blockIdx.x].n_above = n_above;
  work.rows[blockIdx.x].n_equal = n_equal;
}

// One thread: ties go to the lower rows. `competes` is false when the safe ones are all.
__global__ void __launch_bounds__(1)
    give_counts_kernel(FlattenedCounts op, Workspace work, bool competes) {
  int left = competes ? work.state->left : 0;  // ties that are taken
  for (int64_t r = 0; r < op.n_rows; ++r) {
    int count = static_cast<int>(op.safe);
    if (competes) {
      const int tied = min(left, work.rows[r].n_equal);
      count += work.rows[r].n_above + tied;
      left -= tied;
    }
    op.counts[r] = count;
  }
}

}  // namespace

size_t flattened_counts_workspace_bytes(const FlattenedCounts& op) {
  return sizeof(State) + op.n_rows * sizeof(RowState);
}

CudaStatus flattened_counts_cuda(const FlattenedCounts& op, CudaStream stream) {
  if (op.n_rows * op.n_columns > INT32_MAX / 2) return cudaErrorInvalidValue;
  if (op.n_rows == 0) return cudaSuccess;
  const Workspace work = workspace_of(op);
  const auto n_rows = static_cast<unsigned>(op.n_rows);
  const bool competes = op.total > op.n_rows * op.safe;
  if (competes) {
    end_of_safe_kernel<<<n_rows, kThreads, 0, stream>>>(op, work);
    for (int shift = 32 - Select::kBits; shift >= 0; shift -= Select::kBits) {
      histogram_kernel<<<n_rows, kThreads, 0, stream>>>(op, work, shift);
      choose_kernel<<<1, kThreads, 0, stream>>>(work, shift);
    }
    count_kernel<<<n_rows, kThreads, 0, stream>>>(op, work);
  }
  give_counts_kernel<<<1, 1, 0, stream>>>(op, work, competes);
  return cudaGetLastError();
}

}  // namespace kvbench
