#include "harness/report/latency_table.h"

#include <gtest/gtest.h>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::file;

using Line = std::vector<std::string>;

LatencyRow repeat(const std::string& policy, double ratio, double ttft_ms) {
  LatencyRow row;
  row.policy = policy;
  row.policy_id = "id of " + policy;
  row.ratio = ratio;
  row.context_tokens = 1024;
  row.decode_tokens = 16;
  row.ttft_ms = ttft_ms;
  row.kv_bytes_full = 4 << 20;
  row.kv_bytes_logical = row.kv_bytes_allocated = 2 << 20;
  row.peak_kv_bytes = 5 << 20;
  return row;
}

LatencyRow failed(const std::string& policy, double ratio) {
  LatencyRow row = repeat(policy, ratio, 0);
  row.kv_bytes_full = row.kv_bytes_logical = row.kv_bytes_allocated = row.peak_kv_bytes = 0;
  row.error = "no";
  return row;
}

TEST(Latency, MediansAreOfTheRepeatsThatDidNotFail) {
  Results a = file("a.h5");
  a.latency = {repeat("x", 0.5, 3), repeat("x", 0.5, 9), repeat("x", 0.5, 4), failed("x", 0.5),
               failed("y", NAN)};
  const Joined joined = join({a});
  const auto grids = latency_table(joined).for_people();
  ASSERT_EQ(grids.size(), 1U);
  ASSERT_EQ(grids[0].rows.size(), 2U);
  EXPECT_EQ(grids[0].rows[0], (Line{"1024", "x", "0.5", "3", "1", "-", "-", "-", "-", "-", "4.0",
                                    "-", "-", "-", "-", "-", "2.00", "0.00"}));
  EXPECT_EQ(grids[0].rows[1], (Line{"1024", "y", "-", "0", "1", "-", "-", "-", "-", "-", "-", "-",
                                    "-", "-", "-", "-", "-", "-"}));
  EXPECT_EQ(
      memory_table(joined).for_people().at(0).rows.at(0),
      (Line{"1024", "x", "0.5", "1", "4.00", "2.00", "2.00", "2.00", "1.000", "5.00", "1.250"}));
}

TEST(Latency, MachinesModelsAndStepsAreApart) {
  Results a = file("a.h5"), b = file("b.h5"), c = file("c.h5", "other");
  b.info.threads = 8;
  a.latency = {repeat("x", 0.5, 3), repeat("x", 0.5, 3)};
  a.latency[1].decode_tokens = 32;
  b.latency = {repeat("x", 0.5, 7)};
  c.latency = {repeat("x", 0.5, 9)};
  const auto grids = latency_table(join({a, b, c})).for_people();
  ASSERT_EQ(grids.size(), 4U);
  const auto ends_with = [](const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
  };
  EXPECT_TRUE(ends_with(grids[0].title, "tiny, on cpu, 2 threads, decode steps 16"));
  EXPECT_TRUE(ends_with(grids[1].title, "tiny, on cpu, 2 threads, decode steps 32"));
  EXPECT_TRUE(ends_with(grids[2].title, "tiny, on cpu, 8 threads, decode steps 16"));
  EXPECT_TRUE(ends_with(grids[3].title, "other, on cpu, 2 threads, decode steps 16"));
}

TEST(Latency, FloorAndEnergyAreShownWhereTheyAreKnown) {
  Results a = file("a.h5");
  LatencyRow row = repeat("x", 0.5, 3);
  row.tpot_ms = 8;
  row.floor_ms = 6;
  row.tokens_per_s = 125;
  row.cpu_joules = 0.25;
  row.peak_rss_bytes = 9 << 20;
  row.peak_own_bytes = 7 << 20;
  a.latency = {row};
  row.batch = 4;
  a.latency.push_back(row);
  const auto grids = latency_table(join({a})).for_people();
  ASSERT_EQ(grids.size(), 2U);
  EXPECT_TRUE(grids[0].title.ends_with(", sequences 1")) << grids[0].title;
  EXPECT_TRUE(grids[1].title.ends_with(", sequences 4")) << grids[1].title;
  EXPECT_EQ(grids[0].rows.at(0),
            (Line{"1024",  "x", "0.5", "1", "-",     "-",      "-",     "-",     "-",    "3.0",
                  "8.000", "-", "-",   "-", "6.000", "75.0 %", "125.0", "0.250", "2.00", "7.00"}));
}

TEST(Latency, ForProgramsIsOneTable) {
  Results a = file("a.h5");
  a.latency = {repeat("x", 0.5, 3), failed("y", NAN)};
  const Joined joined = join({a});
  EXPECT_EQ(
      render(memory_table(joined).for_programs(), Format::kCsv),
      "model,model_hash,dtype,numerics,device,cpu_name,gpu_name,threads,decode_tokens,"
      "batch,context_tokens,policy,ratio,n_errors,kv_bytes_full,kv_bytes_nominal,kv_bytes_logical,"
      "kv_bytes_allocated,peak_kv_bytes\n"
      "tiny,hash of tiny,float32,,cpu,,,2,16,1,1024,x,0.5,0,4194304,2097152,2097152,2097152,"
      "5242880\n"
      "tiny,hash of tiny,float32,,cpu,,,2,16,1,1024,y,,1,,,,,\n");
  const Grid grid = latency_table(joined).for_programs();
  EXPECT_EQ(grid.rows.at(0).at(20), "3");
  EXPECT_EQ(grid.columns.at(20).name, "ttft_ms");
}

}  // namespace
}  // namespace kvbench
