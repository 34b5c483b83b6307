#include "kernels/decode_plan/decode_plan.h"

#include <algorithm>

namespace kvbench {
namespace {

// Shares of at most `longest` rows.
int64_t n_splits(int64_t length, int64_t longest) {
  return std::max<int64_t>(1, (length + longest - 1) / longest);
}

}  // namespace

DecodePlan decode_plan(std::span<const int64_t> lengths, int64_t n_kv_heads, int64_t n_items) {
  const auto n_needed = [&](int64_t longest) {
    int64_t n = 0;
    for (const int64_t length : lengths) n += n_splits(length, longest);
    return n;
  };
  // The smallest that n_items are enough for, between `low` that is too small and `high`.
  int64_t low = kShortestShare - 1, high = kShortestShare;
  for (const int64_t length : lengths) high = std::max(high, length);
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (n_needed(middle) <= n_items ? high : low) = middle;
  }
  DecodePlan plan;
  for (size_t x = 0; x < lengths.size(); ++x) {
    plan.first_items.push_back(static_cast<int32_t>(plan.items.size()));
    const auto head = static_cast<int64_t>(x), n = n_splits(lengths[x], high);
    for (int64_t split = 0; split < n; ++split) {
      plan.items.push_back({static_cast<int32_t>(head / n_kv_heads),
                            static_cast<int32_t>(head % n_kv_heads), static_cast<int32_t>(split),
                            static_cast<int32_t>(n)});
    }
  }
  plan.first_items.push_back(static_cast<int32_t>(plan.items.size()));
  plan.items.resize(std::max<size_t>(plan.items.size(), n_items));
  return plan;
}

}  // namespace kvbench
