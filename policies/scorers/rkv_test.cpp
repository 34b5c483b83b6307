#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/key_redundancy.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;

// The group's maximum of the logits, a softmax over the ranked tokens alone, the mean over the
// window's queries.
TEST(Rkv, AttentionLessRedundancy) {
  const LayerView layer = testing::random_view(40);
  const at::Tensor keys = layer.keys.to(at::kDouble).narrow(1, 0, 32);
  at::Tensor want = at::empty({2, 32}, at::kDouble);
  for (int64_t h = 0; h < 2; ++h) {
    const at::Tensor queries =
        layer.queries.narrow(0, 2 * h, 2).narrow(1, 32, 8).to(at::kDouble);  // [2, 8, d]
    want[h] = at::matmul(queries, keys[h].t()).amax(0).mul(0.5).softmax(-1).mean(0);
  }
  const at::Tensor alike = key_redundancy(layer.keys, Redundancy::kRaw).narrow(1, 0, 32);
  const at::Tensor scores = scorer("rkv", {{"kernel", "1"}, {"mix", "0.3"}})->score(layer);
  testing::expect_near(scores.narrow(1, 0, 32), want * 0.3 - alike * 0.7, 1e-6);
  const at::Tensor pooled = scorer("rkv", {{"mix", "1"}})->score(layer);
  testing::expect_near(pooled.narrow(1, 0, 32),
                       at::max_pool1d(want.unsqueeze(0), 7, 1, 3).squeeze(0), 1e-6);
}

TEST(Rkv, TheWindowStays) {
  const at::Tensor scores = scorer("rkv")->score(testing::random_view(40));
  EXPECT_EQ(select_top(scores, {8, 8}).positions,
            (std::vector<int64_t>{32, 33, 34, 35, 36, 37, 38, 39, 32, 33, 34, 35, 36, 37, 38, 39}));
}

TEST(Rkv, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("rkv")->score(testing::random_view(8)), InputError);
  EXPECT_THROW(scorer("rkv", {{"kernel", "4"}}), InputError);
  EXPECT_THROW(scorer("rkv", {{"mix", "1.5"}}), InputError);
}

}  // namespace
}  // namespace kvbench
