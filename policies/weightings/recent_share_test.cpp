#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/scorers/testing.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

TEST(RecentShare, HalfOfEachHeadsBudgetIsItsLatestTokens) {
  const LayerView layer = testing::random_view(8);
  const auto scores = at::tensor({9.F, 8.F, 7.F, 6.F, 5.F, 4.F, 3.F, 2.F}).expand({2, 8});
  const std::vector<int64_t> counts = {4, 3};
  const auto half = testing::make_part<Weighting>("recent_share");
  EXPECT_EQ(select_top(half->weigh(layer, scores, counts), counts).positions,
            (std::vector<int64_t>{0, 1, 6, 7, 0, 1, 7}));
  const auto none = testing::make_part<Weighting>("recent_share", {{"share", "0"}});
  EXPECT_TRUE(at::equal(none->weigh(layer, scores, counts), scores));
  EXPECT_THROW(testing::make_part<Weighting>("recent_share", {{"share", "1.1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
