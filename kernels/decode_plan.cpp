#include "kernels/decode_plan.h"

#include <algorithm>
#include <numeric>
#include <queue>

namespace kvbench {
namespace {

constexpr int64_t kLeastRows = 64;  // below, a block costs more than its rows
constexpr double kBalanced = 1.05;  // good enough: room to grow apart
constexpr int64_t kMostTimes = 4;   // as many blocks as wanted, for the sake of balance

int64_t rows_of(int64_t length, int64_t split, int64_t n_splits) {
  return length * (split + 1) / n_splits - length * split / n_splits;
}

}  // namespace

double DecodePlan::imbalance(std::span<const int64_t> lengths) const {
  int64_t most = 0;
  for (const DecodeWork& w : work) {
    most = std::max(most, rows_of(lengths[w.head], w.split, w.n_splits));
  }
  const auto total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  return static_cast<double>(most) * static_cast<double>(work.size()) / static_cast<double>(total);
}

// The head whose splits are the longest gets one more, until there are enough and they are alike.
DecodePlan make_decode_plan(std::span<const int64_t> lengths_now, int64_t n_blocks,
                            int64_t growth) {
  const auto n_heads = std::ssize(lengths_now);
  std::vector<int64_t> lengths(lengths_now.begin(), lengths_now.end());
  for (int64_t& length : lengths) length += growth;
  const auto total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const int64_t wanted = std::clamp(n_blocks, n_heads, std::max(n_heads, total / kLeastRows));
  std::vector<int64_t> n_splits(n_heads, 1), best = n_splits;
  const auto rows = [&](int64_t head) {
    return (lengths[head] + n_splits[head] - 1) / n_splits[head];
  };
  std::priority_queue<std::pair<int64_t, int64_t>> longest;  // rows of a split, head
  for (int64_t h = 0; h < n_heads; ++h) longest.emplace(rows(h), -h);
  double best_imbalance = 0;
  for (int64_t n = n_heads;; ++n) {
    const auto [most, head] = longest.top();
    const double imbalance =
        static_cast<double>(most) * static_cast<double>(n) / static_cast<double>(total);
    if (n <= wanted || imbalance < best_imbalance) {
      best = n_splits;
      best_imbalance = imbalance;
    }
    if ((n >= wanted && best_imbalance <= kBalanced) || n >= kMostTimes * wanted) break;
    if (most <= kLeastRows) break;
    longest.pop();
    ++n_splits[-head];
    longest.emplace(rows(-head), head);
  }
  DecodePlan plan;
  for (int64_t h = 0; h < n_heads; ++h) {
    plan.first.push_back(static_cast<int32_t>(plan.work.size()));
    for (int64_t i = 0; i < best[h]; ++i) {
      plan.work.push_back(
          {static_cast<int32_t>(h), static_cast<int32_t>(i), static_cast<int32_t>(best[h])});
    }
  }
  plan.first.push_back(static_cast<int32_t>(plan.work.size()));
  return plan;
}

}  // namespace kvbench
