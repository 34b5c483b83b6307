// Rows of head_dim elements shared out over the lanes of a warp, in packs of 16 bytes: the fewest
// lanes, a power of two and at least four, hold a row, and the warp holds as many rows as there are
// such groups.
#pragma once

#include "kernels/common/cuda_common.cuh"

namespace kvbench {

inline constexpr int kMaxHeadDim = 256;

// What the kernels below read: whole packs at aligned addresses.
inline bool has_packed_rows(const HeadRows& rows, int64_t head_dim, DType dtype) {
  return head_dim > 0 && head_dim <= kMaxHeadDim && head_dim % 8 == 0 &&
         has_packs(rows, element_bytes(dtype));
}

// What a lane holds of one row.
template <class T>
struct RowPart {
  static constexpr int kPacks = kMaxHeadDim * int{sizeof(T)} / 16 / kWarp;
  static constexpr int kSize = kPacks * Pack<T>::kSize;  // 8 elements

  Pack<T> packs[kPacks];

  __device__ float operator[](int i) const {
    return to_float(packs[i / Pack<T>::kSize].at[i % Pack<T>::kSize]);
  }
};

template <class T>
class RowLanes {
 public:
  static constexpr int kAhead = 4;  // rows of a lane that are read together

  __device__ explicit RowLanes(int head_dim) : n_packs_(head_dim / Pack<T>::kSize) {
    while (lanes_ * RowPart<T>::kPacks < n_packs_) lanes_ *= 2;
  }

  __device__ int rows_of_warp() const { return kWarp / lanes_; }
  __device__ int row_of_lane() const { return threadIdx.x % kWarp / lanes_; }
  __device__ bool is_first() const { return threadIdx.x % lanes_ == 0; }
  // Whose result of row_sums() a lane holds, and whether it is the first of those that do.
  __device__ int ahead_of_lane() const { return threadIdx.x % lanes_ / (lanes_ / kAhead); }
  __device__ bool is_first_ahead() const { return threadIdx.x % (lanes_ / kAhead) == 0; }
  // The column of element i of this lane's part.
  __device__ int column(int i) const {
    return (pack_of_lane(i / Pack<T>::kSize)) * Pack<T>::kSize + i % Pack<T>::kSize;
  }
  __device__ bool has(int i) const { return pack_of_lane(i / Pack<T>::kSize) < n_packs_; }

  // Zeros past the row's end, and all zeros of a row that is not there.
  __device__ RowPart<T> load(const T* row, bool is_there) const {
    RowPart<T> part = {};
#pragma unroll
    for (int p = 0; p < RowPart<T>::kPacks; ++p) {
      if (is_there && pack_of_lane(p) < n_packs_) {
        part.packs[p] = load_pack(row + pack_of_lane(p) * Pack<T>::kSize);
      }
    }
    return part;
  }

  // The same columns of a row of floats (global or shared memory).
  __device__ void load_floats(const float* row, float (&x)[RowPart<T>::kSize]) const {
#pragma unroll
    for (int i = 0; i < RowPart<T>::kSize; i += Pack<float>::kSize) {
      Pack<float> pack = {};
      if (has(i)) pack = load_pack(row + column(i));
#pragma unroll
      for (int k = 0; k < Pack<float>::kSize; ++k) x[i + k] = pack.at[k];
    }
  }

  // Over the lanes of a row, in each of them.
  __device__ float row_sum(float x) const {
    for (int distance = lanes_ / 2; distance > 0; distance /= 2) {
      x += __shfl_xor_sync(kWholeWarp, x, distance);
    }
    return x;
  }

  // The same of kAhead values at once, for fewer exchanges: each lane gets the sum of one of them,
  // value ahead_of_lane().
  __device__ float row_sums(const float (&x)[kAhead]) const {
    int distance = lanes_ / 2;
    const bool upper = (threadIdx.x & distance) != 0;
    float pair[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float mine = upper ? x[2 + i] : x[i], others = upper ? x[i] : x[2 + i];
      pair[i] = mine + __shfl_xor_sync(kWholeWarp, others, distance);
    }
    distance /= 2;
    const bool odd = (threadIdx.x & distance) != 0;
    float sum = odd ? pair[1] : pair[0];
    sum += __shfl_xor_sync(kWholeWarp, odd ? pair[0] : pair[1], distance);
    while ((distance /= 2) > 0) sum += __shfl_xor_sync(kWholeWarp, sum, distance);
    return sum;
  }

  // Over the rows of a warp, in each of them.
  __device__ float sum_over_rows(float x) const {
    for (int distance = kWarp / 2; distance >= lanes_; distance /= 2) {
      x += __shfl_xor_sync(kWholeWarp, x, distance);
    }
    return x;
  }

  // Shares the rows first ... end - 1 out over the warps of the block, kAhead rows of a lane read
  // together. Calls f(row, parts) with all lanes of a warp: part a is of row + a * rows_of_warp(),
  // zeros from `end` on.
  template <class F>
  __device__ void for_rows(const T* rows, int64_t row_stride, int first, int end, F f) const {
    const int warp = threadIdx.x / kWarp, n_warps = blockDim.x / kWarp;
    const int step = kAhead * rows_of_warp();
    for (int r = first + warp * step; r < end; r += n_warps * step) {
      const int row = r + row_of_lane();
      RowPart<T> parts[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        const int ahead = row + a * rows_of_warp();
        parts[a] = load(rows + ahead * row_stride, ahead < end);
      }
      f(row, parts);
    }
  }

  // for_rows, with a sum of each row: of(part) is a lane's share of it, f(row, sum) takes it once.
  template <class Of, class F>
  __device__ void sum_rows(const T* rows, int64_t row_stride, int first, int end, Of of,
                           F f) const {
    for_rows(rows, row_stride, first, end, [&](int row, const RowPart<T>* parts) {
      float sums[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a) sums[a] = of(parts[a]);
      const float sum = row_sums(sums);
      const int of_lane = row + ahead_of_lane() * rows_of_warp();
      if (is_first_ahead() && of_lane < end) f(of_lane, sum);
    });
  }

 private:
  __device__ int pack_of_lane(int p) const { return threadIdx.x % lanes_ + p * lanes_; }

  int n_packs_, lanes_ = kAhead;
};

}  // namespace kvbench
