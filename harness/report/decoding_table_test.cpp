#include "harness/report/decoding_table.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"
#include "tasks/rollouts.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

// Two stories, each said three times.
Results three_rollouts() {
  Results results = file("a.h5");
  add(results, cell("own/story", "vase", 0.5), {50, 70, 60, 60, 80, 90});
  for (size_t i = 0; i < results.rows.size(); ++i) {
    SampleRow& row = results.rows[i];
    row.sample_id = static_cast<int64_t>(i / 2) * kRolloutStride + static_cast<int64_t>(i % 2);
    row.context_id = i % 2 == 0 ? "one" : "other";
    row.attended_mean = 100 + static_cast<double>(i);
    row.attended_most = 120;
    row.nll_full = 1 + 0.5 * static_cast<double>(i % 2);
  }
  return results;
}

TEST(DecodingTable, ContextsAreTheUnitsAndRolloutsHaveASpread) {
  const Joined joined = join({three_rollouts()});
  const auto blocks = blocks_of(joined);
  EXPECT_TRUE(has_decoding(blocks));
  const Table table = decoding_table(blocks);
  const auto rows = rows_of(table);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].number("attended_mean"), 102.5);
  EXPECT_EQ(rows[0].number("attended_most"), 120);
  EXPECT_EQ(rows[0].number("rollouts"), 3);
  EXPECT_DOUBLE_EQ(rows[0].number("nll_full"), 1.25);
  // Two contexts at 1 and 1.5: 0.25 and t(0.975; 1 df) = 12.706 wide.
  EXPECT_NEAR(rows[0].number("nll_full_high"), 1.25 + 12.7062 * 0.25, 1e-3);
  EXPECT_EQ(rows[0].number("nll_full_sd_of_rollouts"), 0);
  EXPECT_NEAR(rows[0].number("score_sd_of_rollouts"), 14.4338, 1e-4);  // of 60, 60 and 85
}

TEST(DecodingTable, NothingIsShownOfRunsThatHaveNothingMore) {
  Results plain = file("a.h5");
  add(plain, cell("own/story", "vase", 0.5), {50, 70});
  const Joined joined = join({plain});
  EXPECT_FALSE(has_decoding(blocks_of(joined)));
}

}  // namespace
}  // namespace kvbench
