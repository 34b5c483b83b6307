#include <gtest/gtest.h>

#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

TEST(Oracle, RanksByTheAnswerAndRefusesToGuess) {
  LayerView layer = testing::random_view(20);
  const auto oracle = testing::scorer("oracle");
  EXPECT_TRUE(oracle->needs_answer());
  EXPECT_THROW(oracle->score(layer), InputError);
  layer.importance = at::rand({2, 20});
  EXPECT_TRUE(at::equal(oracle->score(layer), layer.importance));
}

}  // namespace
}  // namespace kvbench
