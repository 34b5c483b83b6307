#include "harness/report/summary.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;
using test_results::file;

using Line = std::vector<std::string>;

std::vector<Grid> grids(const std::vector<Results>& files) {
  const Joined joined = join(files);
  return summary_grids(blocks_of(joined));
}

TEST(Summary, HasALinePerPolicyAndAColumnPerTask) {
  Results a = file("a.h5");
  add(a, cell("ruler/vt", "full", 0), {90});
  add(a, cell("ruler/vt", "snapkv", 0.5), {60});
  add(a, cell("ruler/cwe", "full", 0), {50});
  add(a, cell("ruler/cwe", "snapkv", 0.5), {40});
  const auto all = grids({a});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(
      render(all[0], Format::kText),
      "Mean score, length 1024, compress context\n"
      "policy  ratio     kept  KV MiB  ruler/vt  ruler/cwe  average  n  vs full  verdict\n"
      "-------------------------------------------------------------------------------------\n"
      "full        0  100.0 %    1.00      90.0       50.0     70.0  1     +0.0\n"
      "snapkv    0.5   50.0 %    1.00      60.0       40.0     50.0  1    -20.0  cannot tell\n");
}

TEST(Summary, AnAverageNeedsEveryTask) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {90});
  add(a, cell("vt", "x", 0.5), {60});
  add(a, cell("cwe", "full", 0), {50});
  EXPECT_EQ(grids({a}).at(0).rows.at(1),
            (Line{"x", "0.5", "50.0 %", "1.00", "60.0", "-", "-", "1", "-"}));
}

// full answered four samples with mean 55; x only the last two, where full has 10 on average.
TEST(Summary, DifferencesToFullAreOverCommonSamples) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100, 100, 20, 0});
  add(a, cell("vt", "x", 0.5), {NAN, NAN, 30, 0});
  const Grid grid = grids({a}).at(0);
  EXPECT_EQ(render(grid, Format::kCsv),
            "policy,ratio,kept,KV MiB,vt,average,n,failed,vs full,verdict\n"
            "full,0,100.0 %,1.00,55.0,55.0,4,,+0.0,\n"
            "x,0.5,50.0 %,1.00,15.0,15.0,2,2,+5.0,cannot tell\n");
}

TEST(Summary, ShowsWhereFewerSamplesAreCommonOrTasksDiffer) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100});
  add(a, cell("vt", "x", 0.5), {50, 60});
  add(a, cell("cwe", "full", 0), {100, 100, 100});
  add(a, cell("cwe", "x", 0.5), {50, 50, 50});
  const Grid grid = grids({a}).at(0);
  EXPECT_EQ(grid.rows.at(1), (Line{"x", "0.5", "50.0 %", "1.00", "55.0", "50.0", "52.5", "2-3",
                                   "-50.0", "cannot tell", "1-3"}));
}

TEST(Summary, SeedsAndModelsAreNeverAveraged) {
  Results a = file("a.h5", "one"), b = file("b.h5", "two");
  CellRow seventh = cell("vt", "full", 0);
  seventh.seed = 7;
  add(a, cell("vt", "full", 0), {100});
  add(a, seventh, {0});
  add(b, cell("vt", "full", 0), {50});
  const auto all = grids({a, b});
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].rows.at(0).at(4), "100.0");
  EXPECT_EQ(all[1].rows.at(0).at(4), "0.0");
  EXPECT_EQ(all[2].rows.at(0).at(4), "50.0");
}

TEST(Summary, APolicyWithItsOwnBudgetHasOneLine) {
  Results a = file("a.h5");
  add(a, cell("vt", "window", NAN), {10});
  add(a, cell("cwe", "window", NAN), {20});
  const Grid grid = grids({a}).at(0);
  ASSERT_EQ(grid.rows.size(), 1U);
  EXPECT_EQ(grid.rows[0], (Line{"window", "-", "-", "1.00", "10.0", "20.0", "15.0", "1", "-"}));
}

// Two tasks of six contexts each, about which x is always worse and y sometimes.
TEST(Summary, VerdictsAreOnTheAverage) {
  Results a = file("a.h5");
  for (const char* task : {"vt", "qa"}) {
    add(a, cell(task, "full", 0), {90, 90, 90, 90, 90, 90});
    add(a, cell(task, "x", 0.5), {70, 80, 60, 70, 80, 60});
    add(a, cell(task, "y", 0.5), {90, 90, 80, 90, 100, 90});
  }
  const Grid grid = grids({a}).at(0);
  EXPECT_EQ(grid.rows.at(0).back(), "");
  EXPECT_EQ(grid.rows.at(1).back(), "worse");
  EXPECT_EQ(grid.rows.at(2).back(), "cannot tell");
  const Joined joined = join({a});
  const Grid data = summary_table(blocks_of(joined)).for_programs();
  const auto column = [&](const char* name) {
    size_t i = 0;
    while (data.columns.at(i).name != name) ++i;
    return i;
  };
  const Line& average = data.rows.at(5);
  EXPECT_EQ(average.at(column("task")), "average");
  EXPECT_EQ(average.at(column("n_contexts")), "12");
  EXPECT_EQ(average.at(column("verdict")), "worse");
  EXPECT_EQ(std::stod(average.at(column("p_holm"))), 2 * 2.0 / 4096);
  EXPECT_LT(std::stod(average.at(column("vs_full_high"))), 0);
  EXPECT_EQ(data.rows.at(4).at(column("verdict")), "");  // of one task: --table paired
}

TEST(Summary, ForProgramsIsOneLongTable) {
  Results a = file("a.h5");
  add(a, cell("vt", "full", 0), {100, 50});
  add(a, cell("cwe", "full", 0), {40, 40});
  CellRow longer = cell("vt", "window", NAN);
  longer.max_length = 2048;
  add(a, longer, {10});
  for (SampleRow& row : a.rows) row.context_id = row.task;  // one context has no interval
  const Joined joined = join({a});
  EXPECT_EQ(
      render(summary_table(blocks_of(joined)).for_programs(), Format::kCsv),
      "block,block_title,model,model_hash,dtype,prompt_hash,end_tokens,numerics,length,compress,"
      "protocol,seed,policy,ratio,task,source,score,ci_low,ci_high,n,n_errors,n_contexts,kept_"
      "ratio,kv_bytes_allocated,vs_full,n_vs_full,vs_full_low,vs_full_high,p_holm,verdict\n"
      "1,\"length 1024, compress context\",tiny,hash of "
      "tiny,float32,,,,1024,context,official,42,full,0,vt,generated,75,,,2,0,1,1,1048576,0,2,,,,\n"
      "1,\"length 1024, compress context\",tiny,hash of "
      "tiny,float32,,,,1024,context,official,42,full,0,cwe,generated,40,,,2,0,1,1,1048576,0,2,,,,\n"
      "1,\"length 1024, compress context\",tiny,hash of "
      "tiny,float32,,,,1024,context,official,42,full,0,average,,57.5,,,4,0,2,1,1048576,0,4,,,,\n"
      "2,\"length 2048, compress context\",tiny,hash of "
      "tiny,float32,,,,2048,context,official,42,window,,vt,generated,10,,,1,0,1,,1048576,,0,,,,\n"
      "2,\"length 2048, compress context\",tiny,hash of "
      "tiny,float32,,,,2048,context,official,42,window,,average,,10,,,1,0,1,,1048576,,0,,,,\n");
}

}  // namespace
}  // namespace kvbench
