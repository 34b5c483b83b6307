#include "policies/lukv/allocation.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "harness/base/error.h"

namespace kvbench::lukv {
namespace {

struct Piece {
  // Slope, then head: the bits of a float that is not negative are in its order (+ 0 makes -0 one).
  uint64_t key;
  int32_t tokens;

  size_t head() const { return key & 0xffffffffU; }
};

// All segments in the order in which they are taken. A head's own are in order already: equal
// slopes of one head may change places.
std::vector<Piece> sorted_pieces(std::span<const std::vector<Segment>> curves) {
  std::vector<Piece> pieces;
  for (size_t head = 0; head < curves.size(); ++head) {
    for (const Segment& segment : curves[head]) {
      pieces.push_back(
          {uint64_t{std::bit_cast<uint32_t>(segment.slope + 0.0F)} << 32 | head, segment.tokens});
    }
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.key < b.key; });
  return pieces;
}

}  // namespace

std::vector<int32_t> discard_counts(std::span<const std::vector<Segment>> curves,
                                    int64_t max_discards, std::span<const int64_t> totals) {
  const std::vector<Piece> pieces = sorted_pieces(curves);
  std::vector<int32_t> taken(curves.size(), 0), rows;
  rows.reserve(totals.size() * curves.size());
  int64_t n_taken = 0;
  auto piece = pieces.begin();
  int64_t used = 0;  // tokens of *piece that are gone
  for (const int64_t total : totals) {
    KVB_CHECK(total >= n_taken, "totals must ascend");
    while (n_taken < total && piece != pieces.end()) {
      int32_t& count = taken[piece->head()];
      const int64_t left = std::min<int64_t>(piece->tokens - used, max_discards - count);
      const int64_t step = std::min(left, total - n_taken);
      count += static_cast<int32_t>(step);
      n_taken += step;
      used += step;
      if (step < left) break;
      ++piece;
      used = 0;
    }
    rows.insert(rows.end(), taken.begin(), taken.end());
  }
  return rows;
}

int64_t min_keep_tokens(double share, int64_t n_tokens, int64_t sink, int64_t window) {
  return std::max<int64_t>(std::llrint(share * static_cast<double>(n_tokens)), sink + window);
}

std::vector<int64_t> ratio_totals(int64_t n_entries) {
  std::vector<int64_t> totals;
  for (int64_t i = 1; i <= kRatios; ++i) {
    totals.push_back(std::llrint(static_cast<double>(i) / 100 * static_cast<double>(n_entries)));
  }
  return totals;
}

std::vector<int32_t> discard_table(const Curves& curves, int64_t n_kv_heads, int64_t n_tokens,
                                   int64_t min_keep, Scope scope) {
  const auto n_heads = static_cast<int64_t>(curves.size());
  KVB_CHECK(n_heads % n_kv_heads == 0, "{} curves of {} heads a layer", n_heads, n_kv_heads);
  const int64_t max_discards = std::max<int64_t>(0, n_tokens - min_keep);
  if (scope == Scope::kGlobal) {
    return discard_counts(curves, max_discards, ratio_totals(n_heads * n_tokens));
  }
  const std::vector<int64_t> totals = ratio_totals(n_kv_heads * n_tokens);
  std::vector<int32_t> table(static_cast<size_t>(kRatios * n_heads));
  for (int64_t first = 0; first < n_heads; first += n_kv_heads) {
    const auto layer = std::span(curves).subspan(first, n_kv_heads);
    const std::vector<int32_t> rows = discard_counts(layer, max_discards, totals);
    for (int64_t i = 0; i < kRatios; ++i) {
      std::copy_n(rows.begin() + i * n_kv_heads, n_kv_heads, table.begin() + i * n_heads + first);
    }
  }
  return table;
}

DiscardPlan::DiscardPlan(double ratio, int64_t n_heads, int64_t n_tokens, int64_t sink,
                         int64_t window)
    : total(std::min(std::llrint(ratio * static_cast<double>(n_heads * n_tokens)),
                     static_cast<long long>(n_heads * (n_tokens - 1)))),
      n_free(std::max<int64_t>(0, n_tokens - sink - window)) {
  const int64_t even_keep = (n_heads * n_tokens - total) / n_heads;
  const int64_t min_keep = min_keep_tokens(kMinKeep, n_tokens, sink, window);
  max_discards = n_tokens - std::max<int64_t>(1, std::min(even_keep, min_keep));
}

std::vector<int64_t> complete(const DiscardPlan& plan, std::vector<int64_t> discards) {
  int64_t left = plan.total - std::accumulate(discards.begin(), discards.end(), int64_t{0});
  while (left > 0) {
    auto& least = *std::min_element(discards.begin(), discards.end());
    KVB_CHECK(least < plan.max_discards, "{} tokens too many to discard", left);
    ++least;
    --left;
  }
  return discards;
}

}  // namespace kvbench::lukv
