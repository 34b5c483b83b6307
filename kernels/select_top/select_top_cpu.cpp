#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/select_top/select_top.h"

namespace kvbench {
namespace {

bool has_nan(const float* score, int64_t n_tokens) {
  bool found = false;  // without an early exit the loop is vectorised
  for (int64_t j = 0; j < n_tokens; ++j) found |= std::isnan(score[j]);
  return found;
}

int32_t* write_range(int64_t begin, int64_t end, int32_t* to) {
  for (int64_t j = begin; j < end; ++j) *to++ = static_cast<int32_t>(j);
  return to;
}

// Writes the positions in [begin, end) of the `count` highest scores, ascending; ties go to the
// lower one. Bare values are partitioned: several times faster than positions by their values.
int32_t* write_top(const float* score, int64_t begin, int64_t end, int64_t count, int32_t* to) {
  if (count <= 0) return to;
  std::vector<float> ranked(score + begin, score + end);
  const auto last = ranked.begin() + (count - 1);
  std::nth_element(ranked.begin(), last, ranked.end(), std::greater<>());
  const float lowest = *last;
  int64_t ties = count - std::count_if(ranked.begin(), last, [=](float s) { return s > lowest; });
  for (int64_t j = begin; j < end; ++j) {
    if (score[j] > lowest || (score[j] == lowest && ties-- > 0)) *to++ = static_cast<int32_t>(j);
  }
  return to;
}

}  // namespace

void select_top_cpu(const SelectTop& op) {
  const int64_t n_tokens = op.n_tokens;
  const int64_t sink = std::min(op.sink, n_tokens), recent = std::min(op.recent, n_tokens - sink);
#pragma omp parallel for schedule(static)
  for (int64_t h = 0; h < op.n_heads; ++h) {
    op.invalid[h] =
        op.counts[h] < 0 || op.counts[h] > n_tokens || has_nan(op.scores + h * n_tokens, n_tokens);
  }
  op.offsets[0] = 0;
  for (int64_t h = 0; h < op.n_heads; ++h) {
    if (op.invalid[h] == 0 && op.offsets[h] + op.counts[h] > op.n_positions) op.invalid[h] = 1;
    op.offsets[h + 1] = op.offsets[h] + (op.invalid[h] != 0 ? 0 : op.counts[h]);
  }
#pragma omp parallel for schedule(static)
  for (int64_t h = 0; h < op.n_heads; ++h) {
    const int64_t count = op.offsets[h + 1] - op.offsets[h];
    const int64_t n_first = std::min(sink, count), n_last = std::min(recent, count - n_first);
    int32_t* to = write_range(0, n_first, op.positions + op.offsets[h]);
    to = write_top(op.scores + h * n_tokens, sink, n_tokens - recent, count - n_first - n_last, to);
    write_range(n_tokens - n_last, n_tokens, to);
  }
}

}  // namespace kvbench
