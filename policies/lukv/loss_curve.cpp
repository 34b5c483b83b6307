#include "policies/lukv/loss_curve.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

#include "harness/base/error.h"

namespace kvbench::lukv {
namespace {

// Order of floats as order of integers. Both zeros are one value.
uint32_t ascending_key(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0F);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffU : 0x80000000U);
}

// Stable ascending sort by the upper 32 bits, least significant digit first: a head's tokens fit
// the first caches, where this is several times faster than comparing.
void radix_sort(std::vector<uint64_t>& items) {
  constexpr int kBits = 11, kDigits = 3;
  constexpr uint64_t kMask = (1 << kBits) - 1;
  std::array<std::array<uint32_t, 1 << kBits>, kDigits> counts{};
  for (const uint64_t item : items) {
    for (int i = 0; i < kDigits; ++i) ++counts[i][(item >> (32 + kBits * i)) & kMask];
  }
  std::vector<uint64_t> sorted(items.size());
  for (int i = 0; i < kDigits; ++i) {
    uint32_t start = 0;
    for (auto& count : counts[i]) start += std::exchange(count, start);
    for (const uint64_t item : items) {
      sorted[counts[i][(item >> (32 + kBits * i)) & kMask]++] = item;
    }
    items.swap(sorted);
  }
}

}  // namespace

std::vector<float> marginal_losses(std::span<const float> scores, std::span<const float> importance,
                                   int64_t sink, int64_t window) {
  const auto n_tokens = static_cast<int64_t>(scores.size());
  KVB_CHECK(importance.size() == scores.size(), "{} scores, {} importances", scores.size(),
            importance.size());
  const int64_t n_free = n_tokens - sink - window;
  if (n_free <= 0) {
    throw_input_error("a context of {} tokens is not longer than {} sinks and a window of {}",
                      n_tokens, sink, window);
  }
  // The importance rides below the key. Later positions come first, and the sort is stable.
  std::vector<uint64_t> items;
  items.reserve(static_cast<size_t>(n_free));
  bool valid = true;
  for (int64_t j = n_tokens - window - 1; j >= sink; --j) {
    valid &= scores[j] == scores[j] && importance[j] >= 0;
    items.push_back(uint64_t{ascending_key(scores[j])} << 32 |
                    std::bit_cast<uint32_t>(importance[j]));
  }
  KVB_CHECK(valid, "a score is NaN, or an importance is NaN or negative");
  radix_sort(items);
  std::vector<float> marginals;
  marginals.reserve(items.size());
  for (const uint64_t item : items) {
    marginals.push_back(std::bit_cast<float>(static_cast<uint32_t>(item)));
  }
  return marginals;
}

std::vector<double> loss_curve(std::span<const float> marginals) {
  std::vector<double> losses = {0};
  losses.reserve(marginals.size() + 1);
  for (const float marginal : marginals) losses.push_back(losses.back() + marginal);
  return losses;
}

}  // namespace kvbench::lukv
