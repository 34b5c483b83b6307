#include "harness/report/failures.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using Line = std::vector<std::string>;

TEST(Failures, SayHowManyAndTheMostFrequentReason) {
  Results a = test_results::file("a.h5");
  test_results::add(a, test_results::cell("vt", "full", 0), {1, 2});
  test_results::add(a, test_results::cell("vt", "x", 0.5), {1, NAN, NAN, NAN});
  test_results::add(a, test_results::cell("qa", "x", 0.5), {NAN});
  a.rows[3].error = "first";
  a.rows[4].error = a.rows[5].error = "a\nlong one";
  LatencyRow row;
  row.policy = "window";
  row.ratio = NAN;
  row.context_tokens = 64;
  row.error = "too short";
  const Grid grid = failure_table(a.rows, {row, row});
  ASSERT_EQ(grid.rows.size(), 3U);
  EXPECT_EQ(grid.rows[0], (Line{"x", "0.5", "vt", "3", "4", "a long one (2 of 3)"}));
  EXPECT_EQ(grid.rows[1], (Line{"x", "0.5", "qa", "1", "1", "no"}));
  EXPECT_EQ(grid.rows[2], (Line{"window", "-", "latency at 64 tokens", "2", "2", "too short"}));
}

TEST(Failures, NoneIsNoRow) {
  Results a = test_results::file("a.h5");
  test_results::add(a, test_results::cell("vt", "full", 0), {1, 2});
  EXPECT_TRUE(failure_table(a.rows, {}).rows.empty());
}

}  // namespace
}  // namespace kvbench
