#include "harness/report/certify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

using Line = std::vector<std::string>;

std::vector<double> scores(size_t n, size_t n_lost, double lost = 0) {
  std::vector<double> all(n, 100.0);
  std::fill_n(all.begin(), n_lost, lost);
  return all;
}

std::vector<Grid> grids(const Results& results, const Promise& promise) {
  const Joined joined = join({results});
  return certify_table(blocks_of(joined), promise).for_people();
}

std::string refused(const std::string& text) {
  try {
    parse_promise(text);
  } catch (const InputError& e) {
    return e.what();
  }
  return "not refused";
}

TEST(Promise, IsReadFromOneLine) {
  const Promise plain = parse_promise("risk=0.05");
  EXPECT_EQ(plain.risk, 0.05);
  EXPECT_EQ(plain.loss, Promise::Loss::kDrop);
  EXPECT_EQ(plain.confidence, 0.95);
  const Promise all = parse_promise("confidence=0.9,loss=worse,risk=0.1");
  EXPECT_EQ(all.risk, 0.1);
  EXPECT_EQ(all.loss, Promise::Loss::kWorse);
  EXPECT_EQ(all.confidence, 0.9);
}

TEST(Promise, RefusesWhatItCannotRead) {
  EXPECT_NE(refused("").find("says no risk"), std::string::npos);
  EXPECT_NE(refused("loss=drop").find("says no risk"), std::string::npos);
  EXPECT_NE(refused("risc=0.05").find("did you mean risk?"), std::string::npos);
  EXPECT_NE(refused("risk=0.05,loss=drob").find("did you mean drop?"), std::string::npos);
  for (const char* text : {"risk", "risk=", "risk=5%", "risk=0", "risk=1", "risk=nan"}) {
    EXPECT_NE(refused(text).find("expected a number between 0 and 1"), std::string::npos) << text;
  }
}

TEST(Certify, GoesOnUntilTheFirstRatioThatIsNotCertain) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), scores(200, 0));
  add(a, cell("vt", "x", 0.9), scores(200, 0));
  add(a, cell("vt", "x", 0.5), scores(200, 2));
  add(a, cell("vt", "x", 0.8), scores(200, 7));
  add(a, cell("vt", "x", 0.2), scores(200, 0));
  const Grid grid = grids(a, {0.05}).at(0);
  ASSERT_EQ(grid.rows.size(), 1U);
  // 7 of 200 are not enough for 95 %, but for 7 / 201 + 1 / 201 < 0.05, and at 0.9 count as there.
  EXPECT_EQ(grid.rows[0],
            (Line{"vt", "x", "200", "200", "0.5", "0.010", "0.8", "0.035", "0.580", "0.9"}));
  EXPECT_EQ(grids(a, {0.05, Promise::Loss::kDrop, 0.4}).at(0).rows[0].at(4), "0.9");
}

TEST(Certify, NoneSaysWhatItWouldTake) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), scores(58, 0));
  add(a, cell("vt", "x", 0.5), scores(58, 0));
  const Grid grid = grids(a, {0.05}).at(0);
  EXPECT_EQ(grid.columns.back().name, "contexts needed");
  EXPECT_EQ(grid.rows[0],
            (Line{"vt", "x", "58", "58", "none", "-", "0.5", "0.000", "0.051", "0.5", "59"}));
}

TEST(Certify, ALossIsOfTheContextAndNeverNegative) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {50, 50, 100, 100});
  add(a, cell("vt", "x", 0.5), {100, 30, 100, 0});  // gains 50, loses 20; loses nothing, 100
  for (SampleRow& row : a.rows) row.context_id = row.sample_id < 2 ? "a" : "b";
  const auto loss = [&](Promise::Loss which) { return grids(a, {0.1, which}).at(0).rows[0].at(7); };
  EXPECT_EQ(loss(Promise::Loss::kDrop), "0.300");  // of 0.1 and 0.5
  EXPECT_EQ(loss(Promise::Loss::kWorse), "0.500");
  EXPECT_EQ(grids(a, {0.1}).at(0).rows[0].at(2), "2");
}

TEST(Certify, CountsWhatAllRatiosSoFarAnswered) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), scores(100, 0));
  std::vector<double> few = scores(100, 0);
  std::fill_n(few.begin(), 60, NAN);
  add(a, cell("vt", "x", 0.5), scores(100, 0));
  add(a, cell("vt", "x", 0.8), few);
  const Grid grid = grids(a, {0.05}).at(0);
  EXPECT_EQ(grid.rows[0].at(2), "40");  // of the ratio that was tested last
  EXPECT_EQ(grid.rows[0].at(4), "0.5");
}

TEST(Certify, AllTasksAreOneMixtureOfContexts) {
  Results a = file("a.h5");
  for (const char* task : {"vt", "qa"}) {
    add(a, cell(task, "full", 0), scores(40, 0));
    add(a, cell(task, "x", 0.5), scores(40, 0));
  }
  add(a, cell("vt", "x", 0.8), scores(40, 0));    // not there for qa
  add(a, cell("vt", "own", NAN), scores(40, 0));  // no ratio to certify
  const Grid grid = grids(a, {0.05}).at(0);
  ASSERT_EQ(grid.rows.size(), 3U);
  EXPECT_EQ(grid.rows[0].at(0), "all tasks");
  EXPECT_EQ(grid.rows[0].at(2), "80");
  EXPECT_EQ(grid.rows[0].at(4), "0.5");
  EXPECT_EQ(grid.rows[1].at(4), "none");
}

TEST(Certify, NeedsTheFullCache) {
  Results a = file("a.h5");
  add(a, cell("vt", "x", 0.5), scores(100, 0));
  EXPECT_TRUE(grids(a, {0.05}).empty());
}

}  // namespace
}  // namespace kvbench
