#include "harness/results/stats.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvbench {
namespace {

TEST(Stats, MedianLeavesOutNan) {
  EXPECT_EQ(median({5.0, NAN, 1.0, 2.0}), 2.0);
  EXPECT_EQ(median({4.0, 1.0}), 2.5);
  EXPECT_TRUE(std::isnan(median({NAN})));
}

TEST(Stats, FailedSamplesAreCountedNotAveraged) {
  CellRow cell;
  cell.cell_id = "c";
  cell.policy = "snapkv";
  std::vector<SampleRow> rows(4);
  for (int64_t i = 0; i < 4; ++i) {
    SampleRow& row = rows[static_cast<size_t>(i)];
    row.cell_id = i < 3 ? "c" : "other";
    row.context_id = "same";
    row.score = 20.0 * static_cast<double>(i);
    row.kept_ratio = 0.5;
    row.kv_bytes_full = 100 + i;
    row.decode_ms = static_cast<double>(i);
  }
  rows[2].error = "out of memory";
  rows[2].score = NAN;
  const CellRow derived = derive_cells({cell}, rows).at(0);
  EXPECT_EQ(derived.policy, "snapkv");
  EXPECT_EQ(derived.n, 2);
  EXPECT_EQ(derived.n_errors, 1);
  EXPECT_EQ(derived.n_contexts, 1);
  EXPECT_EQ(derived.mean, 10.0);
  EXPECT_TRUE(std::isnan(derived.ci_low));  // two answers about one context
  EXPECT_EQ(derived.kv_bytes_full, 100.5);
  EXPECT_EQ(derived.decode_ms, 0.5);
  EXPECT_TRUE(std::isnan(derived.prefill_ms));
}

}  // namespace
}  // namespace kvbench
