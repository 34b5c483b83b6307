#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(Position, SinksThenTheLatest) {
  const auto keys = at::zeros({2, 8, 2});
  const auto scores = scorer("position", {{"sink", "2"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores[0].unsqueeze(0), {4}).positions, (std::vector<int64_t>{0, 1, 6, 7}));
  EXPECT_EQ(select_top(scores[1].unsqueeze(0), {1}).positions, (std::vector<int64_t>{0}));
}

}  // namespace
}  // namespace kvbench
