#include "harness/report/worst.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;

std::vector<Grid> worst(Results file) {
  std::vector<Results> files;
  files.push_back(std::move(file));
  const Joined joined = join(std::move(files));
  return worst_samples(blocks_of(joined));
}

TEST(Worst, AreThoseThatLostMostToTheFullCache) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), {100, 0, 100, 100, 50, 100});
  add(file, cell("t", "one", 0.5), {50, 0, 0, 100, 50, NAN});
  const auto grids = worst(file);
  ASSERT_EQ(grids.size(), 1u);
  const auto& rows = grids[0].rows;
  ASSERT_EQ(rows.size(), 3u);  // samples 1, 3 and 4 lost nothing
  EXPECT_EQ(rows[0], (std::vector<std::string>{"one", "0.5", "t", "5", "-", "100.0", "failed: no",
                                               "100", ""}));
  EXPECT_EQ(rows[1][3], "2");
  EXPECT_EQ(rows[2],
            (std::vector<std::string>{"one", "0.5", "t", "0", "50.0", "100.0", "50", "100", ""}));
}

TEST(Worst, AreTheLowestScoresWithoutAFullCache) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "one", 0.5), {100, 20, 10, 30, 20});
  const auto grids = worst(file);
  ASSERT_EQ(grids.size(), 1u);
  ASSERT_EQ(grids[0].rows.size(), 3u);
  EXPECT_EQ(grids[0].rows[0][3], "2");
  EXPECT_EQ(grids[0].rows[1][3], "1");
  EXPECT_EQ(grids[0].rows[2][3], "4");
}

TEST(Worst, NothingIsShownWhereNothingIsLost) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), {100, 0});
  add(file, cell("t", "one", 0.5), {100, 0});
  EXPECT_TRUE(worst(file).empty());
}

}  // namespace
}  // namespace kvbench
