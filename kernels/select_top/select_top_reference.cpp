#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/select_top/select_top.h"

namespace kvbench {
namespace {

// What decides who comes first: protection by its rank, then the score.
int64_t protected_rank(const SelectTop& op, int64_t position) {
  const int64_t sink = std::min(op.sink, op.n_tokens);
  if (position < sink) return position;
  const int64_t from_end = op.n_tokens - 1 - position;
  return from_end < op.recent ? sink + from_end : op.n_tokens;
}

}  // namespace

void select_top_reference(const SelectTop& op) {
  op.offsets[0] = 0;
  for (int64_t h = 0; h < op.n_heads; ++h) {
    const float* score = op.scores + h * op.n_tokens;
    const int32_t first = op.offsets[h];
    int64_t count = op.counts[h];
    const bool has_nan =
        std::any_of(score, score + op.n_tokens, [](float x) { return std::isnan(x); });
    op.invalid[h] = has_nan || count < 0 || count > op.n_tokens || first + count > op.n_positions;
    if (op.invalid[h] != 0) count = 0;
    std::vector<int32_t> order(op.n_tokens);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      const int64_t rank_a = protected_rank(op, a), rank_b = protected_rank(op, b);
      return rank_a != rank_b ? rank_a < rank_b : score[a] > score[b];
    });
    std::sort(order.begin(), order.begin() + count);
    std::copy(order.begin(), order.begin() + count, op.positions + first);
    op.offsets[h + 1] = first + static_cast<int32_t>(count);
  }
}

}  // namespace kvbench
