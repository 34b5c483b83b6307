#include "harness/report/paired.h"

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

std::vector<Grid> grids(const std::vector<Results>& files, const std::string& against) {
  const Joined joined = join(files);
  return paired_table(blocks_of(joined), against).for_people();
}

// Intervals of two contexts say nearly nothing: t(1) = 12.7. Differences of +20 (or -20) alone
// leave t^2 / (2 + t^2) = 0.988 of the contexts unseen.
TEST(Paired, ComparesTheSamplesThatBothAnswered) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100, 100});
  add(a, cell("vt", "u", 0.5), {0, 50});
  add(a, cell("vt", "x", 0.5), {100, 100, 0});  // the third one is not u's
  add(a, cell("vt", "u", 0.8), {100, 100});
  add(a, cell("vt", "x", 0.8), {0, 100});
  const auto all = grids({a}, "u");
  ASSERT_EQ(all.size(), 1U);  // one task: nothing to average
  EXPECT_EQ(all[0].title,
            "vt, length 1024, compress context, paired with u; p after Holm, family of 2");
  ASSERT_EQ(all[0].rows.size(), 2U);  // full has no u at ratio 0
  EXPECT_EQ(all[0].rows[0], (Line{"x", "0.5", "2", "2", "100.0", "+75.0", "-66.5", "+98.7", "2",
                                  "0", "0", "1.000", "cannot tell"}));
  EXPECT_EQ(all[0].rows[1], (Line{"x", "0.8", "2", "2", "50.0", "-50.0", "-97.0", "+82.5", "0", "1",
                                  "1", "1.000", "cannot tell"}));
}

TEST(Paired, TheFullCacheIsComparedAtEveryRatio) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100, 90});
  add(a, cell("vt", "x", 0.5), {80, 70});
  add(a, cell("vt", "window", NAN), {100, 90});
  const Grid grid = grids({a}, "full").at(0);
  ASSERT_EQ(grid.rows.size(), 2U);
  EXPECT_EQ(grid.rows[0], (Line{"x", "0.5", "2", "2", "75.0", "-20.0", "-89.4", "+80.2", "0", "0",
                                "2", "1.000", "cannot tell"}));
  EXPECT_EQ(grid.rows[1].at(1), "-");
  EXPECT_EQ(grids({a}, "window").at(0).rows.size(), 2U);  // at its only budget
}

TEST(Paired, AveragesTasksAndLeavesOutWhatIsNotEverywhere) {
  Results a = file("a.h5");
  add(a, cell("vt", "u", 0.5), {0, 0, 0});
  add(a, cell("qa", "u", 0.5), {50, 50, 50});
  add(a, cell("vt", "x", 0.5), {100, 100, 100, NAN});
  add(a, cell("qa", "x", 0.5), {50, 50, 50});
  add(a, cell("qa", "y", 0.5), {50, 50, 50});
  const auto all = grids({a}, "u");
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(all[0].rows.size(), 1U);
  EXPECT_EQ(
      all[0].title,
      "Mean over 2 tasks, length 1024, compress context, paired with u; p after Holm, family of 1");
  EXPECT_EQ(all[0].rows[0], (Line{"x", "0.5", "6", "6", "75.0", "+50.0", "-16.3", "+83.2", "3", "3",
                                  "0", "0.250", "cannot tell"}));
  EXPECT_EQ(all[1].rows.size(), 1U);
  EXPECT_EQ(all[2].rows.size(), 2U);
}

// Two contexts can prove nothing; four questions that all say the same thing could.
TEST(Paired, SeveralQuestionsAboutOneContextCountAsOne) {
  Results a = file("a.h5");
  add(a, cell("vt", "u", 0.5), {0, 0, 0, 0});
  add(a, cell("vt", "x", 0.5), {0, 60, 60, 60});
  for (SampleRow& row : a.rows) row.context_id = row.sample_id == 0 ? "c0" : "c1";
  EXPECT_EQ(grids({a}, "u").at(0).rows.at(0),
            (Line{"x", "0.5", "4", "2", "45.0", "+45.0", "-72.1", "+93.9", "3", "1", "0", "1.000",
                  "cannot tell"}));
}

// Seven wins and no loss have p = 2 / 128, six 2 / 64 = 0.031: enough as long as no third policy
// stands in the table.
TEST(Paired, VerdictsAreOfTheWholeTable) {
  Results a = file("a.h5");
  const std::vector<double> base(20, 50);
  std::vector<double> up = base, down = base;
  for (size_t i = 0; i < 7; ++i) up[i] = down[i] = 60;
  down[6] = 50;
  add(a, cell("vt", "u", 0.5), base);
  add(a, cell("vt", "up", 0.5), up);
  EXPECT_EQ(grids({a}, "u").at(0).rows.at(0).back(), "better");
  add(a, cell("vt", "six", 0.5), down);
  const Grid grid = grids({a}, "u").at(0);
  EXPECT_EQ(grid.rows.at(0).back(), "better");
  EXPECT_EQ(grid.rows.at(1).back(), "better");  // the last of the family stands alone
  add(a, cell("vt", "same", 0.5), base);
  const Grid more = grids({a}, "u").at(0);
  EXPECT_EQ(more.rows.at(0).back(), "better");
  EXPECT_EQ(more.rows.at(1).back(), "cannot tell");  // 2 x 2 / 64
  EXPECT_EQ(more.rows.at(1).at(11), "0.062");
  EXPECT_EQ(grids({a}, "up").at(0).rows.at(0).back(), "worse");
}

TEST(Paired, EqualPromptsAreTheFirstAndTheSecondOne) {
  Results a = file("a.h5");
  add(a, cell("vt", "u", 0.5), {10, 20});
  add(a, cell("vt", "x", 0.5), {11, 21});
  for (SampleRow& row : a.rows) {
    row.sample_hash = "same";
  }
  EXPECT_EQ(grids({a}, "u").at(0).rows.at(0).at(5), "+1.0");
  EXPECT_EQ(grids({a}, "u").at(0).rows.at(0).at(2), "2");
}

TEST(Paired, NothingIsPairedOverModelsOrSeeds) {
  Results a = file("a.h5", "one"), b = file("b.h5", "two");
  add(a, cell("vt", "u", 0.5), {0, 0});
  add(b, cell("vt", "x", 0.5), {100, 100});
  CellRow seventh = cell("vt", "x", 0.5);
  seventh.seed = 7;
  add(a, seventh, {100, 100});
  EXPECT_TRUE(grids({a, b}, "u").empty());
}

TEST(Paired, ForProgramsIsOneTable) {
  Results a = file("a.h5");
  for (const char* task : {"vt", "qa"}) {
    add(a, cell(task, "u", 0.5), {0, 50});
    add(a, cell(task, "x", 0.5), {100, 100});
  }
  for (SampleRow& row : a.rows) row.context_id = row.task;  // one context has no interval
  const Joined joined = join({a});
  const Grid grid = paired_table(blocks_of(joined), "u").for_programs();
  ASSERT_EQ(grid.rows.size(), 3U);
  EXPECT_EQ(grid.rows[0], (Line{"1",        "length 1024, compress context",
                                "tiny",     "hash of tiny",
                                "float32",  "",
                                "",         "",
                                "1024",     "context",
                                "official", "42",
                                "average",  "u",
                                "x",        "0.5",
                                "4",        "2",
                                "100",      "75",
                                "",         "",
                                "4",        "0",
                                "0",        "0.5",
                                "0.5",      "cannot tell"}));
  EXPECT_EQ(grid.rows[2].at(12), "qa");
}

TEST(Paired, RefusesAnUnknownPolicy) {
  Results a = file("a.h5");
  add(a, cell("vt", "snapkv", 0.5), {1});
  try {
    grids({a}, "snapkw");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean snapkv?"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace kvbench
