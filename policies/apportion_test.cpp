#include "policies/apportion.h"

#include <gtest/gtest.h>

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

TEST(Apportion, LargestFractionsFirstTiesToTheLower) {
  EXPECT_EQ(apportion({1.25, 2.75, 3.0}, 7), (Counts{1, 3, 3}));
  EXPECT_EQ(apportion({1.5, 2.5, 3.0}, 7), (Counts{2, 2, 3}));
  EXPECT_EQ(apportion({0.1, 0.1, 0.1}, 3), (Counts{1, 1, 1}));
  EXPECT_EQ(apportion({4.0, 2.0}, 6), (Counts{4, 2}));
}

TEST(RaiseToFloor, TakesFromTheLargestAndKeepsTheSum) {
  Counts counts = {1, 9, 5, 9};
  raise_to_floor(counts, 4);
  EXPECT_EQ(counts, (Counts{4, 7, 5, 8}));
  raise_to_floor(counts, 4);
  EXPECT_EQ(counts, (Counts{4, 7, 5, 8}));
}

TEST(RaiseToFloor, ASumThatIsTooSmallIsSpreadEvenly) {
  Counts counts = {1, 6};
  raise_to_floor(counts, 10);
  EXPECT_EQ(counts, (Counts{3, 4}));
}

}  // namespace
}  // namespace kvbench
