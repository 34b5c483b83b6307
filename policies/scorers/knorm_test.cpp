#include <gtest/gtest.h>

#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(Knorm, NegativeLength) {
  const auto keys = at::tensor({3.F, 4.F, 0.F, 0.F, -1.F, 0.F, 5.F, 12.F}).view({2, 2, 2});
  testing::expect_near(scorer("knorm")->score(view_of(keys, keys)),
                       at::tensor({-5.F, 0.F, -1.F, -13.F}).view({2, 2}), 1e-6);
}

// Accumulated and returned in float32: norms that bfloat16 rounds to 16 both stay apart.
TEST(Knorm, LowPrecisionKeysDoNotTie) {
  const auto keys = at::tensor({16.F, 0.F, 16.F, 0.5F}).view({1, 2, 2}).to(at::kBFloat16);
  const auto scores = scorer("knorm")->score(view_of(keys, keys));
  EXPECT_GT(scores[0][0].item<float>(), scores[0][1].item<float>());
}

}  // namespace
}  // namespace kvbench
