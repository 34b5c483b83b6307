// Budgets that follow the scores, worked by hand.
#include <gtest/gtest.h>

#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

std::vector<int64_t> counts(const at::Tensor& scores, const char* value, double ratio = 0.5) {
  return make_allocator("threshold", {{"value", value}})
      ->allocate(budget_of(scores, ratio))
      .on_host();
}

TEST(Threshold, KeepsWhatReachesTheValue) {
  const auto scores = at::tensor({0.1F, 0.5F, 0.6F, 0.4F, 0.5F, 0.9F}).view({2, 3});
  EXPECT_EQ(counts(scores, "0.5"), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(counts(scores, "0.55"), (std::vector<int64_t>{1, 1}));
  EXPECT_EQ(counts(scores, "0"), (std::vector<int64_t>{3, 3}));
}

TEST(Threshold, LeavesNoHeadEmptyAndKnowsNoRatio) {
  const auto scores = at::tensor({0.1F, 0.2F, 0.8F, 0.7F}).view({2, 2});
  for (const double ratio : {0.1, 0.99}) {
    EXPECT_EQ(counts(scores, "0.75", ratio), (std::vector<int64_t>{1, 1}));
  }
  EXPECT_TRUE(make_allocator("threshold")->ignores_ratio());
}

}  // namespace
}  // namespace kvbench
