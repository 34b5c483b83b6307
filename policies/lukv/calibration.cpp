#include "policies/lukv/calibration.h"

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "policies/lukv/isotonic.h"

namespace kvbench::lukv {
namespace {

// Tokens below the boundary under the i-th highest group, i = 0 ... kKnots.
double below(int64_t i, double n) {
  const double share = static_cast<double>(i) / static_cast<double>(kKnots);
  return n * (1 - share * share);
}

// The nondecreasing means nearest to `means` in weighted squares.
void make_isotonic(std::vector<double>& means, std::span<const double> weights) {
  const auto blocks = isotonic_blocks(means.size(), [&](size_t i) {
    return Block{means[i] * weights[i], weights[i], 1};
  });
  size_t at = 0;
  for (const Block& block : blocks) {
    std::fill_n(means.begin() + static_cast<int64_t>(at), block.n_items, block.sum / block.weight);
    at += block.n_items;
  }
}

}  // namespace

std::vector<float> relative_scores(std::span<const float> scores) {
  std::vector<float> relative(scores.begin(), scores.end());
  if (relative.empty()) return relative;
  const double low = *std::min_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float score : scores) sum += score - low;
  const double mean = sum / static_cast<double>(scores.size());
  for (float& score : relative) score = mean > 0 ? static_cast<float>((score - low) / mean) : 1;
  return relative;
}

std::vector<int32_t> rank_group_sizes(int64_t n) {
  std::vector<int32_t> sizes;
  int64_t end = 0;
  for (int64_t i = kKnots - 1; i >= 0; --i) {
    const auto next = static_cast<int64_t>(below(i, static_cast<double>(n)));
    sizes.push_back(static_cast<int32_t>(next - end));
    end = next;
  }
  return sizes;
}

RankGroups rank_groups(std::span<const float> ranked_scores, std::span<const float> marginals) {
  KVB_CHECK(ranked_scores.size() == marginals.size(), "{} scores, {} losses", ranked_scores.size(),
            marginals.size());
  const std::vector<float> relative = relative_scores(ranked_scores);
  RankGroups groups;
  groups.sizes = rank_group_sizes(std::ssize(ranked_scores));
  size_t at = 0;
  for (const int32_t size : groups.sizes) {
    double score = 0, loss = 0;
    for (int32_t i = 0; i < size; ++i, ++at) {
      score += relative[at];
      loss += marginals[at];
    }
    groups.scores.push_back(size == 0 ? 0 : static_cast<float>(score / size));
    groups.losses.push_back(static_cast<float>(loss));
  }
  return groups;
}

Calibration calibrate(std::span<const RankGroups> groups, std::span<const double> weights) {
  struct Item {
    double score, loss, size;
  };
  std::vector<Item> items;
  double n_tokens = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (int64_t i = 0; i < kKnots; ++i) {
      const int32_t size = groups[g].sizes[i];
      if (size == 0) continue;
      items.push_back({groups[g].scores[i], groups[g].losses[i] * weights[g], double(size)});
      n_tokens += size;
    }
  }
  KVB_CHECK(!items.empty(), "a calibration without tokens");
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.score < b.score; });
  // Neighbours join until they reach the boundary of a group of the pooled ranks.
  std::vector<double> scores, means, sizes;
  Item open{0, 0, 0};
  double reached = 0;
  int64_t boundary = kKnots - 1;  // of the open group, counted from the highest
  for (const Item& item : items) {
    open.score += item.score * item.size;
    open.loss += item.loss;
    open.size += item.size;
    reached += item.size;
    if (reached < below(boundary, n_tokens)) continue;
    scores.push_back(open.score / open.size);
    means.push_back(open.loss / open.size);
    sizes.push_back(open.size);
    open = {0, 0, 0};
    while (boundary > 0 && below(boundary, n_tokens) <= reached) --boundary;
  }
  make_isotonic(means, sizes);
  Calibration calibration;
  calibration.scores.assign(scores.begin(), scores.end());
  calibration.importance.assign(means.begin(), means.end());
  // Fewer groups than knots: the highest is repeated.
  calibration.scores.resize(kKnots, calibration.scores.back());
  calibration.importance.resize(kKnots, calibration.importance.back());
  return calibration;
}

std::vector<float> predicted_importance(std::span<const float> scores,
                                        std::span<const float> importance,
                                        std::span<const float> ascending) {
  std::vector<float> predicted;
  predicted.reserve(ascending.size());
  size_t right = 0;  // first knot above the score
  for (const float score : ascending) {
    while (right < scores.size() && scores[right] <= score) ++right;
    if (right == 0) {
      predicted.push_back(importance.front());
    } else if (right == scores.size()) {
      predicted.push_back(importance.back());
    } else {
      const float from = scores[right - 1], to = scores[right];
      const float share = (score - from) / (to - from);
      predicted.push_back(importance[right - 1] +
                          share * (importance[right] - importance[right - 1]));
    }
  }
  return predicted;
}

}  // namespace kvbench::lukv
