#include "harness/report/longbench_table.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"
#include "tasks/longbench/sets.h"

namespace kvbench {
namespace {

using namespace test_results;

std::vector<Block> blocks(Results results, Joined& joined) {
  joined = join({std::move(results)});
  return blocks_of(joined);
}

TEST(LongBenchTable, AnAverageNeedsAllItsSets) {
  Results results = file("a.h5");
  double score = 0;
  for (const auto& set : longbench::load_longbench_sets()) {
    if (!set.paper || set.name == "lcc") continue;
    add(results, cell("longbench/" + set.name, "full", 0), {score, score + 1, score + 3});
    score += 2;
  }
  add(results, cell("longbench/lcc", "snapkv", 0.5), {50});
  Joined joined;
  const Grid grid = longbench_table(blocks(results, joined)).for_programs();
  const auto at = [&](size_t row, const std::string& column) {
    for (size_t i = 0; i < grid.columns.size(); ++i) {
      if (grid.columns[i].name == column) return grid.rows.at(row).at(i);
    }
    return std::string("no such column");
  };
  EXPECT_EQ(at(0, "qasper"), "3.33");  // (2 + 3 + 5) / 3
  EXPECT_EQ(at(0, "avg_16"), "");
  EXPECT_EQ(at(1, "lcc"), "50");

  add(results, cell("longbench/lcc", "full", 0), {score, score + 1, score + 3});
  const Grid whole = longbench_table(blocks(results, joined)).for_programs();
  double mean = 0;
  for (int i = 0; i < 16; ++i) mean += (1.33 + 2 * i) / 16;
  for (size_t i = 0; i < whole.columns.size(); ++i) {
    if (whole.columns[i].name != "avg_16") continue;
    EXPECT_NEAR(std::stod(whole.rows[0][i]), mean, 0.01);
  }
}

TEST(LongBenchTable, BucketsByTheItemsLength) {
  Results results = file("a.h5");
  add(results, cell("longbench/trec_e", "full", 0), {100, 0, 100});
  results.rows[0].words = 10;
  results.rows[1].words = 3999;
  results.rows[2].words = 8000;
  Joined joined;
  const Grid grid = longbench_e_table(blocks(results, joined)).for_programs();
  ASSERT_EQ(grid.rows.size(), 1u);
  EXPECT_EQ(grid.rows[0][3], "50");
  EXPECT_EQ(grid.rows[0][4], "");
  EXPECT_EQ(grid.rows[0][5], "100");
}

TEST(LongBenchTable, OtherBenchmarksHaveNone) {
  Results results = file("a.h5");
  add(results, cell("ruler/vt", "full", 0), {1});
  Joined joined;
  EXPECT_TRUE(longbench_table(blocks(results, joined)).for_people().empty());
  EXPECT_TRUE(longbench_e_table(blocks(results, joined)).for_people().empty());
}

}  // namespace
}  // namespace kvbench
