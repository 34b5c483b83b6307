#include "tasks/rollouts.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tasks/ruler/test_files.h"

namespace kvbench {
namespace {

class RolloutsTest : public testing::Test {
 protected:
  std::unique_ptr<SampleSource> open(int64_t rollouts) {
    const std::string line = R"({"context": "Grass.", "question": "?", "answers": ["a"]})";
    const auto file = folder_.write("d.jsonl", line + "\n\n" + line + "\n");
    return with_rollouts(find_task("own/contains_all").open({.file = file}, {}), rollouts);
  }

  TemporaryFolder folder_;
};

TEST_F(RolloutsTest, NumbersOfMoreRolloutsBeginWithThoseOfFewer) {
  const auto one = open(1), three = open(3);
  ASSERT_EQ(one->size(), 2);
  ASSERT_EQ(three->size(), 6);
  for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(three->id(i), one->id(i));
  for (int64_t i = 1; i < 6; ++i) EXPECT_GT(three->id(i), three->id(i - 1));
  EXPECT_EQ(three->id(5), 2 * kRolloutStride + 2);  // line 2 of the file
  EXPECT_EQ(rollout_of(three->id(5)), 2);
  EXPECT_EQ(three->sample(5).id, three->id(5));
  EXPECT_EQ(three->sample(5).context, one->sample(1).context);
}

TEST_F(RolloutsTest, AContextStandsForItselfInEachRollout) {
  const auto two = open(2);
  const auto key = [&](int64_t i) { return two->context_key(i); };
  EXPECT_EQ(key(0), key(1));  // one context, two lines
  EXPECT_EQ(key(2), key(3));
  EXPECT_NE(key(0), key(2));
}

}  // namespace
}  // namespace kvbench
