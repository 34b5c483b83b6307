#include "harness/report/join.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

using Lines = std::vector<std::string>;

TEST(Join, FilesThatShareACellHaveItOnce) {
  Results a = file("a.h5"), b = file("b.h5");
  add(a, cell("vt", "full", 0), {100, 90});
  add(a, cell("vt", "x", 0.5), {50, 40});
  add(b, cell("vt", "full", 0), {100, 90, 80});
  add(b, cell("vt", "y", 0.5), {10, 20, 30});
  const Joined joined = join({a, b});
  EXPECT_TRUE(joined.warnings.empty()) << joined.warnings[0];
  ASSERT_EQ(joined.cells.size(), 3U);
  EXPECT_EQ(joined.cells[0].cell.policy, "full");
  EXPECT_EQ(joined.cells[0].cell.n, 3);
  EXPECT_EQ(joined.cells[0].cell.n_planned, 3);
  EXPECT_DOUBLE_EQ(joined.cells[0].cell.mean, 90);
  EXPECT_EQ(joined.cells[1].cell.policy, "x");
  EXPECT_EQ(joined.cells[2].cell.policy, "y");
}

TEST(Join, TheFirstAnswerCountsAndADifferentOneIsSaid) {
  Results a = file("a.h5"), b = file("b.h5");
  add(a, cell("vt", "full", 0), {100, 90, 80});
  add(b, cell("vt", "full", 0), {100, 0, 80});
  const Joined joined = join({a, b});
  EXPECT_DOUBLE_EQ(joined.cells.at(0).cell.mean, 90);
  EXPECT_EQ(joined.warnings,
            Lines{"1 samples are there twice and differ in answer or score: the first counts"});
}

TEST(Join, AFailedSampleYieldsToOneThatIsFine) {
  Results a = file("a.h5"), b = file("b.h5");
  add(a, cell("vt", "full", 0), {100, NAN});
  add(b, cell("vt", "full", 0), {100, 50});
  const Joined joined = join({a, b});
  EXPECT_EQ(joined.cells.at(0).cell.n_errors, 0);
  EXPECT_DOUBLE_EQ(joined.cells.at(0).cell.mean, 75);
  EXPECT_EQ(joined.warnings, Lines{"a.h5: 1 of 2 samples failed and are not in the means"});
}

TEST(Join, TheSameCellOfOtherModelsIsNotTheSame) {
  Results a = file("a.h5", "one"), b = file("b.h5", "two");
  add(a, cell("vt", "full", 0), {100});
  add(b, cell("vt", "full", 0), {0});
  EXPECT_EQ(join({a, b}).cells.size(), 2U);
}

TEST(Join, DifferentPoliciesOfOneNameAreToldApart) {
  Results a = file("a.h5"), b = file("b.h5");
  CellRow mine = cell("vt", "snapkv", 0.5), theirs = mine;
  mine.policy_id = "aabbccdd";
  theirs.policy_id = "aabbcc11";
  add(a, mine, {1});
  add(b, theirs, {2});
  const Joined joined = join({a, b});
  EXPECT_EQ(joined.cells.at(0).cell.policy, "snapkv#aabbccd");
  EXPECT_EQ(joined.cells.at(1).cell.policy, "snapkv#aabbcc1");
  EXPECT_EQ(joined.cells.at(1).rows.at(0).policy, "snapkv#aabbcc1");
  EXPECT_EQ(joined.warnings, Lines{"2 policies are called snapkv: told apart by #"});
}

TEST(Join, OnePolicyOfTwoNamesHasItsFirst) {
  Results a = file("a.h5"), b = file("b.h5");
  CellRow mine = cell("vt", "snapkv", 0.5), theirs = cell("qa", "ours", 0.5);
  theirs.policy_id = mine.policy_id;
  add(a, mine, {1});
  add(b, theirs, {2});
  LatencyRow row;
  row.policy = "ours";
  row.policy_id = mine.policy_id;
  b.latency = {row};
  const Joined joined = join({a, b});
  EXPECT_EQ(joined.cells.at(1).cell.policy, "snapkv");
  EXPECT_EQ(joined.latency.at(0).row.policy, "snapkv");
}

TEST(Join, IncompleteSaysWhatIsMissing) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {1, 2});
  a.state.complete = false;
  EXPECT_EQ(join({a}).warnings,
            Lines{"a.h5: incomplete: all 2 rows, but the run has not closed the file"});
  a.info.config = "name: x\nlatency: {lengths: [64]}\n";
  EXPECT_EQ(join({a}).warnings, Lines{"a.h5: incomplete: all 2 rows, but no latency yet"});
  a.rows.pop_back();
  EXPECT_EQ(join({a}).warnings, Lines{"a.h5: incomplete: 1 of 2 rows"});
}

TEST(Join, FailedMeasurementsAreCounted) {
  Results a = file("a.h5");
  a.latency.resize(3);
  a.latency[1].error = "no";
  EXPECT_EQ(join({a}).warnings, Lines{"a.h5: 1 of 3 isolated measurements failed"});
}

TEST(Join, RepeatsOfAFileGivenTwiceCountOnce) {
  Results a = file("a.h5");
  LatencyRow row;
  row.policy = "full";
  row.ttft_ms = 5;
  a.latency = {row, row};  // two repeats that happen to be equal
  EXPECT_EQ(join({a, a}).latency.size(), 2U);
}

TEST(Join, OldFilesKnowSamplesByNumber) {
  Results old = file("old.h5");
  old.state.schema_version = 2;
  old.info.seeds = "vt 7\n";
  add(old, cell("vt", "full", 0), {100, 0});
  add(old, cell("vt", "x", 0.5), {50, 0});
  add(old, cell("vt", "full", 0), {30});  // the same task of another file: length 0 there
  old.cells[2].cell_id = old.rows[4].cell_id = "other";
  for (CellRow& row : old.cells) {
    row.group_id = row.policy_id = row.source = row.protocol = "";
    row.seed = row.max_length = 0;
  }
  for (SampleRow& row : old.rows) {
    row.sample_hash = row.context_id = row.source = row.protocol = "";
    row.seed = row.max_length = 0;
    row.context_tokens = 90 + row.sample_id;
    row.question_tokens = 10;
  }
  const Joined joined = join({old});
  ASSERT_EQ(joined.cells.size(), 3U);
  const CellRow& full = joined.cells[0].cell;
  EXPECT_EQ(full.n, 2);
  EXPECT_EQ(full.n_contexts, 2);
  EXPECT_EQ(full.max_length, 101);
  EXPECT_EQ(full.seed, 7);
  EXPECT_EQ(full.source, "file");
  EXPECT_EQ(full.group_id, joined.cells[1].cell.group_id);
  EXPECT_NE(full.group_id, joined.cells[2].cell.group_id);
}

}  // namespace
}  // namespace kvbench
