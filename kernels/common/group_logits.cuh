// Logits of a GQA group's queries with the keys of their KV head, as parts of a softmax.
#pragma once

#include "kernels/common/row_lanes.cuh"
#include "kernels/common/softmax_parts.cuh"

namespace kvbench {

struct GroupLogits {
  static constexpr int kThreads = 256, kPart = 128;  // keys of a block

  HeadRows keys;
  int n_heads, group, n_keys, head_dim;
  float scale;
  SoftmaxMemory memory;  // rows are query heads

  // Queries and logits.
  size_t shared_bytes() const { return sizeof(float) * group * (head_dim + kPart); }
};

// grid [parts, KV heads]; queries [n_heads * group, head_dim].
template <class T, class Query>
__global__ void __launch_bounds__(GroupLogits::kThreads)
    group_logits_kernel(GroupLogits op, const Query* queries) {
  extern __shared__ __align__(16) float shared[];
  float *scaled = shared, *logits = shared + op.group * op.head_dim;
  const RowLanes<T> lanes(op.head_dim);
  const Query* of_group = queries + int64_t{blockIdx.y} * op.group * op.head_dim;
  for (int i = threadIdx.x; i < op.group * op.head_dim; i += op.kThreads) {
    scaled[i] = to_float(of_group[i]) * op.scale;
  }
  __syncthreads();
  const T* keys = static_cast<const T*>(op.keys.data) + blockIdx.y * op.keys.head_stride;
  const int first = blockIdx.x * op.kPart, end = min(op.n_keys, first + op.kPart);
  const auto multiply = [&](int row, const RowPart<T>* parts) {
    for (int g = 0; g < op.group; ++g) {
      float query[RowPart<T>::kSize];
      lanes.load_floats(scaled + g * op.head_dim, query);
      float dots[lanes.kAhead] = {};
#pragma unroll
      for (int a = 0; a < lanes.kAhead; ++a) {
#pragma unroll
        for (int i = 0; i < RowPart<T>::kSize; ++i) dots[a] += parts[a][i] * query[i];
      }
      const float dot = lanes.row_sums(dots);
      const int key = row + lanes.ahead_of_lane() * lanes.rows_of_warp();
      if (lanes.is_first_ahead() && key < end) logits[g * op.kPart + key - first] = dot;
    }
  };
  lanes.for_rows(keys, op.keys.row_stride, first, end, multiply);
  __syncthreads();
  for (int g = threadIdx.x / kWarp; g < op.group; g += op.kThreads / kWarp) {
    const int q = blockIdx.y * op.group + g;
    store_part(logits + g * op.kPart, end - first, op.memory.row(q) + first,
               op.memory.parts_of(q) + blockIdx.x);
  }
}

inline bool fits(const GroupLogits& op) { return op.shared_bytes() <= 48 * 1024; }

template <class T, class Query>
void launch_group_logits(const GroupLogits& op, const Query* queries, cudaStream_t stream) {
  group_logits_kernel<T>
      <<<dim3(op.memory.n_parts, op.n_heads), op.kThreads, op.shared_bytes(), stream>>>(op,
                                                                                        queries);
}

}  // namespace kvbench
