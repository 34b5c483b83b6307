#include <gtest/gtest.h>

#include <cmath>

#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(ObservedAttention, MeanOfTheQueriesThatSeeAToken) {
  // Logits 0, ln 3: rows (1), (1/4, 3/4) and, for a query of zero, the same key weighs 1/2 each.
  const auto keys = at::tensor({0.F, std::log(3.F)}).view({1, 2, 1});
  const auto queries = at::tensor({1.F, 1.F, 0.F, 0.F}).view({2, 2, 1});
  const auto scores = scorer("observed_attention")->score(view_of(keys, queries));
  // Column sums 1 + 1/4 and 3/4, 1 + 1/2 and 1/2; divided by 2 and 1; mean of the two heads.
  testing::expect_near(scores, at::tensor({(1.25F + 1.5F) / 4, (0.75F + 0.5F) / 2}).view({1, 2}),
                       1e-6);
}

}  // namespace
}  // namespace kvbench
