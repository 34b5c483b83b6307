// Shards, their merge, and runs that are asked to end: as users meet them.
#include <chrono>
#include <thread>

#include "harness/cli/test_sweep.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using namespace test_sweep;

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(ShardRun, MergeNamesWhatIsMissingAndEqualsTheWholeRun) {
  const Folder folder(5);
  const auto here = folder / "";
  expect_done(kvbench(here, {"run", "sweep.yaml", "--output", "whole.h5"}));
  expect_done(kvbench(here, {"run", "sweep.yaml", "--shard", "2/3"}));
  Outcome merged = kvbench(here, {"merge", "m.h5", "out.shard-2-of-3.h5"});
  EXPECT_EQ(merged.status, 1);
  expect_parts(merged.out, {"Missing rows", "ruler/niah_single_1", "snapkv", "0, 3", "2",
                            "m.h5: 6 rows of 1 files"});
  expect_parts(merged.err, {"m.h5 is not complete", "--output m.h5"});
  EXPECT_FALSE(read_results(folder / "m.h5").state.complete);

  expect_done(kvbench(here, {"run", "sweep.yaml", "--shard", "1/3"}));
  expect_done(kvbench(here, {"run", "sweep.yaml", "--shard", "3/3"}));
  merged = kvbench(here, {"merge", "m.h5", "out.shard-1-of-3.h5", "out.shard-2-of-3.h5",
                          "out.shard-3-of-3.h5", "out.shard-1-of-3.h5"});
  expect_done(merged);
  expect_parts(merged.out, {"m.h5: 15 rows of 4 files; 6 came twice and are kept once"});
  EXPECT_EQ(rows_of(folder / "m.h5"), rows_of(folder / "whole.h5"));

  for (const auto& [shard, part] : std::vector<std::pair<std::string, std::string>>{
           {"0/4", "--shard: 0/4, expected 1/N to N/N"},
           {"5/4", "--shard: 5/4, expected 1/N to N/N"},
           {"two", "--shard: \"two\", expected I/N"},
           {"1/6", "--shard: 1/6, expected at most 5 shards"}}) {
    expect_refused(kvbench(here, {"run", "sweep.yaml", "--shard", shard}), {part});
  }
  expect_refused(kvbench(here, {"merge", "n.h5", "out.shard-*-of-3.h5"}), {"out.shard-*-of-3.h5"});
  expect_refused(kvbench(here, {"merge", "whole.h5", "out.shard-1-of-3.h5"}),
                 {"whole.h5: is there and was not written by merge"});
  EXPECT_FALSE(fs::exists(folder / "n.h5"));
}

TEST(ShardRun, EndsInOrderWhenAsked) {
  const Folder folder(150);
  const auto here = folder / "";
  size_t before = 0;
  for (const auto& [signal, name] : std::vector<std::pair<int, std::string>>{
           {SIGINT, "SIGINT"}, {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}}) {
    Process run(here, {"run", "sweep.yaml"});
    while (run.running()) {
      if (test_run::rows_by_now(folder / "out.h5") > before) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    run.send(signal);
    const Outcome ended = run.wait();
    EXPECT_EQ(ended.status, 128 + signal) << ended.err;
    expect_parts(ended.err, {"kvbench: ended by " + name, "out.h5", "the same command goes on"});
    EXPECT_FALSE(fs::exists(folder / "out.h5.lock"));
    const Results so_far = read_results(folder / "out.h5");
    EXPECT_EQ(so_far.rows.size() % 3, 0u) << "in the middle of a context";
    EXPECT_GT(so_far.rows.size(), before);
    EXPECT_FALSE(so_far.state.complete);
    before = so_far.rows.size();
  }
  expect_done(kvbench(here, {"run", "sweep.yaml"}));
  expect_done(kvbench(here, {"run", "sweep.yaml", "--output", "whole.h5"}));
  EXPECT_EQ(rows_of(folder / "out.h5"), rows_of(folder / "whole.h5"));
}

}  // namespace
}  // namespace kvbench
