#include "harness/report/power.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/base/error.h"
#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

using Line = std::vector<std::string>;

std::vector<Grid> grids(const Results& results, const std::string& against, double width) {
  const Joined joined = join({results});
  return power_table(blocks_of(joined), against, width).for_people();
}

// n contexts of differences +10 and -10 in turn have the variance 100 / (n - 1). The half-width of
// n is t sqrt(100 / (n - 1)): at 1 about (2 x 10)^2 and a little.
TEST(Power, IsWhereTheIntervalHasTheWidth) {
  Estimate estimate{0, 100.0 / 19, 19, 20};
  const double n = contexts_needed(estimate, 20, 1, difference_interval);
  const auto half = [&](double contexts) {
    const double more = contexts / 20;
    const Interval interval = difference_interval({0, 100.0 / 19 / more, 19 * more, 20 * more});
    return (interval.high - interval.low) / 2;
  };
  EXPECT_LE(half(n), 1);
  EXPECT_GT(half(n - 1), 1);
  EXPECT_NEAR(n, 1.96 * 1.96 * 100 * 20 / 19, 10);
  EXPECT_LT(contexts_needed(estimate, 20, 5, difference_interval), 25);
}

TEST(Power, OfEqualScoresIsThatOfTheUnseen) {
  const Estimate estimate{100, 0, 9, 10};
  const double n = contexts_needed(estimate, 10, 5, score_interval);
  // t^2 / (n + t^2) = 0.1 with t near 2.03.
  EXPECT_NEAR(n, 9 * 2.03 * 2.03, 2);
  EXPECT_TRUE(std::isnan(contexts_needed({50, NAN, NAN, NAN}, 1, 5, score_interval)));
}

TEST(Power, TellsWhatIsThereAndWhatIsNeeded) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100, 100, 0, 100, 0, 100});
  add(a, cell("vt", "x", 0.5), {100, 0, 0, 100, 0, 100});
  add(a, cell("qa", "x", 0.5), {50, 50, 50, 50});
  for (SampleRow& row : a.rows) {  // two questions about each context
    row.context_id = row.task + std::to_string(row.sample_id / 2);
  }
  const Grid grid = grids(a, "", 20).at(0);
  EXPECT_EQ(grid.title,
            "Power, length 1024, compress context: what intervals of +-20 points need, by the "
            "variance between contexts so far");
  ASSERT_EQ(grid.rows.size(), 4U);
  EXPECT_EQ(grid.rows[0].at(0), "average");  // full has no qa
  EXPECT_EQ(grid.rows[0].at(1), "x");
  EXPECT_EQ(grid.rows[0].at(3), "5");
  EXPECT_EQ(grid.rows[0].at(4), "10");
  const Line& x = grid.rows[2];
  EXPECT_EQ((Line{x.begin(), x.begin() + 5}), (Line{"vt", "x", "0.5", "3", "6"}));
  EXPECT_EQ(std::stoi(x.at(7)), 2 * std::stoi(x.at(6)));  // samples and contexts
  EXPECT_EQ(std::stoi(x.at(10)), 2 * std::stoi(x.at(9)));
  EXPECT_EQ(grid.rows[1].at(8), "-");  // the full cache beside itself
  EXPECT_EQ(grid.rows[3].at(8), "-");  // qa has no full cache
}

TEST(Power, WithoutAFullCacheIsOfScoresAlone) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), {100, 0, 0});
  EXPECT_EQ(grids(a, "", 5).at(0).columns.size(), 8U);
  add(a, cell("vt", "y", 0.5), {100, 0, 100});
  EXPECT_EQ(grids(a, "y", 5).at(0).columns.at(8).name, "minus y +-");
  EXPECT_THROW(grids(a, "z", 5), InputError);
}

}  // namespace
}  // namespace kvbench
