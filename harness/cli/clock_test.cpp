// A wall clock that is set while a sweep runs: by a day, ahead and back, at every look.
#include <algorithm>

#include "harness/cli/test_sweep.h"

namespace kvbench {
namespace {

using namespace test_process;
using namespace test_sweep;

const std::vector<std::string> kRun = {
    "run", "sweep.yaml", "--set",
    "latency={repeats: 2, warmup: 0, lengths: [64], decode_tokens: 3}"};

Outcome run_with_jumps(const Folder& folder, const std::vector<std::string>& more) {
  std::vector<std::string> words = kRun;
  words.insert(words.end(), more.begin(), more.end());
  setenv("LD_PRELOAD", KVBENCH_JUMP_CLOCK, 1);
  const Outcome outcome = kvbench(folder / "", words);
  unsetenv("LD_PRELOAD");
  return outcome;
}

// Calls visit(column, value) for every time of the results.
template <class Visit>
void for_each_time(const Results& results, Visit&& visit) {
  const auto visit_times = [&](const auto& row) {
    visit_columns(row, [&](const char* name, const auto& value) {
      const std::string column = name;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) {
        if (column.ends_with("_ms") || column.starts_with("tpot")) visit(column, value);
      }
    });
  };
  for (const SampleRow& row : results.rows) visit_times(row);
  for (const LatencyRow& row : results.latency) visit_times(row);
}

TEST(Clock, ThatIsSetChangesNoAnswerAndNoTime) {
  const Folder folder(3);
  expect_done(kvbench(folder / "", {"run", "sweep.yaml", "--output", "calm.h5"}));
  expect_done(run_with_jumps(folder, {}));
  const Results results = read_results(folder / "out.h5");
  EXPECT_TRUE(results.state.complete);
  EXPECT_EQ(rows_of(folder / "out.h5"), rows_of(folder / "calm.h5"));
  // The clock was set indeed: the run seems to have begun on another day.
  EXPECT_FALSE(results.state.start_time.starts_with(utc_now("%Y-%m-%d")));
  int n_times = 0;
  for_each_time(results, [&](const std::string& column, double ms) {
    constexpr double kHour = 3600e3;
    EXPECT_GE(ms, 0) << column;
    EXPECT_LT(ms, kHour) << column;
    ++n_times;
  });
  EXPECT_GT(n_times, 50);
  std::vector<std::string> order;
  for (const LatencyRow& row : results.latency) {
    order.push_back(fmt::format("{} {}", row.repeat, row.policy));
  }
  EXPECT_EQ(order, (std::vector<std::string>{"0 full", "0 snapkv", "0 keydiff", "1 full",
                                             "1 snapkv", "1 keydiff"}));
}

TEST(Clock, ThatIsSetLosesNothingOnTheWay) {
  const Folder folder(3);
  expect_done(kvbench(folder / "", {"run", "sweep.yaml", "--output", "calm.h5"}));
  expect_done(run_with_jumps(folder, {"--set", "tasks.0.samples=2"}));
  expect_done(run_with_jumps(folder, {}));
  EXPECT_EQ(rows_of(folder / "out.h5"), rows_of(folder / "calm.h5"));
  expect_done(run_with_jumps(folder, {"--fresh"}));
  expect_done(run_with_jumps(folder, {"--fresh"}));
  const auto names = names_below(folder / "");
  EXPECT_EQ(std::count_if(names.begin(), names.end(),
                          [](const auto& name) { return name.find(".bak-") != name.npos; }),
            2);  // set aside under names of their own
}

}  // namespace
}  // namespace kvbench
