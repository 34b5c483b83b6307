// The mean of rows' directions, for CPU kernels.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"

namespace kvbench {

inline constexpr int64_t kDirectionBlock = 256;  // rows of a thread at a time

// Of head h, [whole vectors of d]: the mean over t of rows[t] * inverse(norm); norms[t] := its
// norm. Blocks of rows are added in order, whoever made them.
template <class E, class Inverse>
std::vector<float> mean_direction(const HeadRows& rows, int64_t h, int64_t n_rows, int64_t d,
                                  Inverse inverse, float* norms) {
  constexpr int64_t kRows = 8;  // that are added to a sum before it is stored
  const int64_t n_blocks = (n_rows + kDirectionBlock - 1) / kDirectionBlock;
  const int64_t width = whole_vectors(d);
  std::vector<float> partial(n_blocks * width), mean(width);
#pragma omp parallel for schedule(static) if (n_blocks > 1)
  for (int64_t b = 0; b < n_blocks; ++b) {
    float* sum = partial.data() + b * width;
    const int64_t end = std::min(n_rows, (b + 1) * kDirectionBlock);
    for (int64_t t = b * kDirectionBlock; t < end; t += kRows) {
      // Rows past the end repeat the last one, times nothing.
      const typename E::Storage* row[kRows];
      float scale[kRows];
      for (int64_t r = 0; r < kRows; ++r) {
        row[r] = row_of<E>(rows, h, std::min(t + r, end - 1));
        Vec squares = {};
        for_vectors<E>(row[r], d, [&](int64_t, Vec x) { squares += x * x; });
        const float norm = std::sqrt(horizontal_sum(squares));
        scale[r] = t + r < end ? inverse(norm) : 0;
        if (t + r < end) norms[t + r] = norm;
      }
      const auto add = [&](int64_t c, auto load) {
        Vec total = Float32::load_lanes(sum + c);
        for (int64_t r = 0; r < kRows; ++r) total += load(row[r] + c) * scale[r];
        Float32::store_lanes(total, sum + c);
      };
      int64_t c = 0;
      for (; c + kLanes <= d; c += kLanes) add(c, E::load_lanes);
      if (c < d) add(c, [&](const auto* p) { return load_first<E>(p, d - c); });
    }
  }
  for (int64_t b = 0; b < n_blocks; ++b) {
    for (int64_t c = 0; c < width; ++c) mean[c] += partial[b * width + c];
  }
  for (auto& x : mean) x /= static_cast<float>(n_rows);
  return mean;
}

}  // namespace kvbench
