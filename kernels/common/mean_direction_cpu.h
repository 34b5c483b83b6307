// The mean of rows' directions, for CPU kernels.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"

namespace kvbench {

inline constexpr int64_t kDirectionBlock = 256;  // rows of a thread at a time

// Of head h, [whole vectors of d] in the order of E's steps: the mean over t of rows[t] *
// inverse(norm); norms[t] := its norm. Blocks of rows are added in order, whoever made them.
template <class E, class Inverse>
std::vector<float> mean_direction(const HeadRows& rows, int64_t h, int64_t n_rows, int64_t d,
                                  Inverse inverse, float* norms) {
  const int64_t n_blocks = (n_rows + kDirectionBlock - 1) / kDirectionBlock;
  const int64_t width = whole_vectors(d),
                whole = d / (E::kStepVecs * kLanes) * E::kStepVecs * kLanes;
  const auto row_bytes = d * static_cast<int64_t>(sizeof(typename E::Storage));
  std::vector<float> partial(n_blocks * width), mean(width);
#pragma omp parallel for schedule(static) if (n_blocks > 1)
  for (int64_t b = 0; b < n_blocks; ++b) {
    float* sum = partial.data() + b * width;
    const int64_t end = std::min(n_rows, (b + 1) * kDirectionBlock);
    for (int64_t t = b * kDirectionBlock; t < end; t += kLanes) {
      // Rows past the end repeat the last one, times nothing.
      const typename E::Storage* row[kLanes];
      Vec squares[kLanes];
      for (int64_t r = 0; r < kLanes; ++r) {
        row[r] = row_of<E>(rows, h, std::min(t + r, end - 1));
        prefetch(row_of<E>(rows, h, std::min(t + kLanes + r, n_rows - 1)), row_bytes);
        Vec of_row = {};
        for_steps<E>(row[r], d, [&](int64_t, Vec x) { of_row += x * x; });
        squares[r] = of_row;
      }
      const Vec sums = sums_of(squares);
      float scale[kLanes] = {};
      for (int64_t r = 0; r < std::min(kLanes, end - t); ++r) {
        norms[t + r] = std::sqrt(sums[r]);
        scale[r] = inverse(norms[t + r]);
      }
      for (int64_t c = 0; c < whole; c += E::kStepVecs * kLanes) {
        Vec total[E::kStepVecs] = {};
        for (int64_t r = 0; r < kLanes; ++r) {
          Vec x[E::kStepVecs];
          E::load_step(row[r] + c, x);
          for (int64_t v = 0; v < E::kStepVecs; ++v) total[v] += x[v] * scale[r];
        }
        for (int64_t v = 0; v < E::kStepVecs; ++v) {
          float* to = sum + c + v * kLanes;
          Float32::store_lanes(Float32::load_lanes(to) + total[v], to);
        }
      }
      for (int64_t c = whole; c < d; c += kLanes) {
        Vec total = Float32::load_lanes(sum + c);
        for (int64_t r = 0; r < kLanes; ++r) total += load_first<E>(row[r] + c, d - c) * scale[r];
        Float32::store_lanes(total, sum + c);
      }
    }
  }
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t c = 0; c < width; ++c) mean[c] += partial[b * width + c];
  }
  for (auto& x : mean) x /= static_cast<float>(n_rows);
  return mean;
}

}  // namespace kvbench
