#include "kernels/decode_plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace kvbench {
namespace {

TEST(DecodePlan, CoversEveryRowOnce) {
  const std::vector<int64_t> lengths = {1, 700, 64, 5000, 65, 2};
  const DecodePlan plan = make_decode_plan(lengths, 40);
  ASSERT_EQ(plan.first.size(), lengths.size() + 1);
  for (size_t h = 0; h < lengths.size(); ++h) {
    int64_t covered = 0;
    for (int32_t i = plan.first[h]; i < plan.first[h + 1]; ++i) {
      const DecodeWork& w = plan.work[i];
      EXPECT_EQ(w.head, static_cast<int32_t>(h));
      EXPECT_EQ(w.split, i - plan.first[h]);
      EXPECT_EQ(w.n_splits, plan.first[h + 1] - plan.first[h]);
      const int64_t begin = lengths[h] * w.split / w.n_splits;
      EXPECT_EQ(begin, covered);
      covered = lengths[h] * (w.split + 1) / w.n_splits;
      EXPECT_TRUE(w.n_splits == 1 || covered - begin >= 32);
    }
    EXPECT_EQ(covered, lengths[h]);
  }
  EXPECT_EQ(plan.first.back(), static_cast<int32_t>(plan.work.size()));
}

// Heads of a LU-KV table for an 8B-like model: 8 KV heads a layer, the longest 2 to 7 times the
// mean. The plan of each layer stays balanced while all its heads grow by an answer's length; the
// same number of splits for every head is not.
TEST(DecodePlan, IsBalancedAndStaysSo) {
  constexpr int64_t kLayers = 32, kHeads = 8, kMean = 3200;  // 16000 tokens at 0.8
  constexpr int64_t kAnswer = 128;
  std::mt19937_64 generator(1);
  for (const int64_t n_sequences : {1, 4, 16}) {
    double worst = 0, worst_before = 0, worst_later = 0, worst_static = 0;
    for (int64_t l = 0; l < kLayers; ++l) {
      const double peak = 2 + 5.0 * static_cast<double>(l) / (kLayers - 1);
      std::vector<int64_t> lengths;
      for (int64_t i = 0; i < n_sequences * kHeads; ++i) {
        std::exponential_distribution<double> share(1.0);
        lengths.push_back(1 + static_cast<int64_t>(kMean * std::min(peak, share(generator))));
      }
      lengths[l % kHeads] = static_cast<int64_t>(peak * kMean);
      worst = std::max(worst, make_decode_plan(lengths, 792).imbalance(lengths));  // 6 blocks an SM
      const DecodePlan plan = make_decode_plan(lengths, 792, kAnswer);
      worst_before = std::max(worst_before, plan.imbalance(lengths));
      DecodePlan uniform;  // the same number of splits for every head
      const auto each = static_cast<int32_t>(plan.work.size() / lengths.size());
      for (int32_t h = 0; h < std::ssize(lengths); ++h) {
        for (int32_t i = 0; i < each; ++i) uniform.work.push_back({h, i, each});
      }
      worst_static = std::max(worst_static, uniform.imbalance(lengths));
      for (int64_t& length : lengths) length += kAnswer;
      worst_later = std::max(worst_later, plan.imbalance(lengths));
    }
    EXPECT_LE(worst, 1.1) << n_sequences;
    EXPECT_LE(worst_before, 1.2) << n_sequences;
    EXPECT_LE(worst_later, 1.1) << n_sequences;
    EXPECT_GE(worst_static, 2) << n_sequences;
  }
}

}  // namespace
}  // namespace kvbench
