// Competition of heads on scores worked by hand.
#include <gtest/gtest.h>

#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

// Two heads of ten tokens; every score of head 0 is above every score of head 1.
at::Tensor one_sided() { return at::arange(20, at::kFloat).flip(0).view({2, 10}); }

Counts ada(const at::Tensor& scores, double ratio, std::vector<Params::Given> given) {
  return make_allocator("ada", std::move(given))->allocate(budget_of(scores, ratio)).on_host();
}

TEST(Ada, MinimumIsPartOfTheSelection) {
  // n = 5: trunc(alpha 5) of head 1 are safe, the other places go to head 0.
  EXPECT_EQ(ada(one_sided(), 0.5, {{"alpha", "0.2"}}), (Counts{9, 1}));
  EXPECT_EQ(ada(one_sided(), 0.5, {{"alpha", "0.5"}}), (Counts{8, 2}));
  EXPECT_EQ(ada(one_sided(), 0.5, {{"alpha", "1"}}), (Counts{5, 5}));
  EXPECT_EQ(ada(one_sided(), 0.5, {{"alpha", "0"}}), (Counts{9, 1}));  // no head is left empty
}

TEST(Ada, TotalIsExactAndTiesGoToTheLowerHead) {
  const auto ties = at::zeros({3, 10});
  EXPECT_EQ(ada(ties, 0.5, {{"alpha", "0.2"}}), (Counts{10, 4, 1}));
  const auto scores = at::tensor({5.F, 1.F, 1.F, 0.F, 5.F, 1.F, 1.F, 0.F}).view({2, 4});
  EXPECT_EQ(ada(scores, 0.5, {{"alpha", "0.5"}}), (Counts{3, 1}));
}

TEST(Ada, BlendMixesCountsAfterTheWindow) {
  // W = 2, n = 5, B = 3: the 6 best of the 16 unprotected are all head 0's.
  // Head 0: 2 + round(6 * 0.8 + trunc(0.6)) = 7; head 1: 2 + 0.
  const std::vector<Params::Given> blend = {{"floor_mode", "blend"}, {"window", "2"}};
  EXPECT_EQ(ada(one_sided(), 0.5, blend), (Counts{7, 2}));
  auto half = blend;
  half.push_back({"alpha", "0.5"});  // 2 + 3 + 1 and 2 + 0 + 1
  EXPECT_EQ(ada(one_sided(), 0.5, half), (Counts{6, 3}));
  // Nothing beside the window: uniform.
  EXPECT_EQ(ada(one_sided(), 0.8, blend), (Counts{1, 1}));
}

TEST(Ada, BlendRoundsHalfToEven) {
  // n = 3, B = 3, W = 0: 5 and 1 of the 6 best; 2.5 + 1 and 0.5 + 1 with alpha 0.5.
  const auto scores =
      at::tensor({9.F, 8.F, 7.F, 6.F, 5.F, 0.F, 4.F, 1.F, 1.F, 1.F, 1.F, 1.F}).view({2, 6});
  EXPECT_EQ(ada(scores, 0.5, {{"floor_mode", "blend"}, {"window", "0"}, {"alpha", "0.5"}}),
            (Counts{4, 2}));
}

TEST(Ada, NormaliseWeighsByConcentration) {
  // Head 0: flat 4, 4, 4, 4; head 1: 3, 3, 0, 0. n = 2, so the weights are 1/2 and 1.
  const auto scores = at::tensor({4.F, 4.F, 4.F, 4.F, 3.F, 3.F, 0.F, 0.F}).view({2, 4});
  EXPECT_EQ(ada(scores, 0.5, {{"window", "0"}}), (Counts{3, 1}));
  EXPECT_EQ(ada(scores, 0.5, {{"window", "0"}, {"normalise", "true"}}), (Counts{2, 2}));
}

TEST(Ada, RefusesBadParameters) {
  EXPECT_THROW(make_allocator("ada", {{"alpha", "1.5"}}), InputError);
  EXPECT_THROW(make_allocator("ada", {{"floor_mode", "mean"}}), InputError);
}

}  // namespace
}  // namespace kvbench
