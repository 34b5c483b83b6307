#include "harness/report/power.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

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

double half_width(const Interval& interval) { return (interval.high - interval.low) / 2; }

// Twenty contexts with differences of +10 and -10 in turn.
TEST(Power, IsWhereTheIntervalHasTheWidth) {
  const auto contexts = [](int n) {
    Stratum stratum;
    for (int i = 0; i < n; ++i) {
      stratum.values.push_back(i % 2 == 0 ? 10 : -10);
      stratum.contexts.push_back(std::to_string(i));
    }
    return estimate_mean({stratum});
  };
  const double n = contexts_needed(contexts(20), 20, 1, difference_interval);
  // Where the simplest interval has it, and where so many such contexts really have it.
  EXPECT_NEAR(n, 1.96 * 1.96 * 100, 40);
  EXPECT_NEAR(half_width(difference_interval(contexts(static_cast<int>(n)))), 1, 0.03);
  EXPECT_LT(contexts_needed(contexts(20), 20, 5, difference_interval), 25);
  EXPECT_EQ(contexts_needed(contexts(20), 20, 100, difference_interval), 2);
}

// t^2 / (n + t^2) = 0.1 with t near 2.
TEST(Power, OfEqualScoresIsThatOfTheUnseen) {
  const Estimate equal = estimate_mean({{{100, 100, 100}, {"a", "b", "c"}}});
  EXPECT_NEAR(contexts_needed(equal, 3, 5, score_interval), 9 * 2 * 2, 2);
  const Estimate one = estimate_mean({{{100, 100}, {"a", "a"}}});
  EXPECT_TRUE(std::isnan(contexts_needed(one, 1, 5, score_interval)));
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
