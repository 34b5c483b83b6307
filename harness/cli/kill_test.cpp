// A sweep, and a merge, killed with SIGKILL at random moments and at its write calls, and run
// again. Every test run does a few of them; KVBENCH_KILLS=200 makes 200 at random and one at every
// write call.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <thread>

#include "harness/base/random.h"
#include "harness/cli/test_sweep.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using namespace test_sweep;
using Words = std::vector<std::string>;

constexpr int kSamples = 6, kCells = 3;

int n_kills() {
  const char* asked = std::getenv("KVBENCH_KILLS");
  return asked == nullptr ? 6 : std::atoi(asked);
}

// Runs kvbench, killed at its write number `at`.
Outcome killed_at_write(const fs::path& folder, const Words& arguments, int at) {
  setenv("LD_PRELOAD", KVBENCH_KILL_AT_WRITE, 1);
  setenv("KVBENCH_KILL_AT_WRITE", fmt::format("{}", at).c_str(), 1);
  const Outcome outcome = kvbench(folder, arguments);
  unsetenv("LD_PRELOAD");
  return outcome;
}

class KillTest : public testing::Test {
 protected:
  void SetUp() override {
    expect_done(kvbench(folder_ / "", {"run", "sweep.yaml", "--output", "whole.h5"}));
    whole_ = rows_of(folder_ / "whole.h5");
    ASSERT_EQ(whole_.size(), size_t{kSamples} * kCells);
  }

  // What is in the file after a kill; every row that was there before still is.
  Rows checked(const fs::path& file, const Rows& before) {
    if (!fs::exists(file)) {
      EXPECT_TRUE(before.empty()) << "the file is lost";
      return {};
    }
    const Rows now = rows_of(file);
    EXPECT_TRUE(is_part_of(before, now)) << "a finished row was lost";
    EXPECT_TRUE(is_part_of(now, whole_)) << "a row is not that of the whole run";
    return now;
  }

  void expect_finished(const fs::path& file) {
    EXPECT_EQ(rows_of(file), whole_);
    EXPECT_TRUE(read_results(file).state.complete);
  }

  Folder folder_{kSamples};
  Rows whole_;
};

TEST_F(KillTest, AtRandomMoments) {
  const fs::path file = folder_ / "out.h5";
  const auto start = std::chrono::steady_clock::now();
  expect_done(kvbench(folder_ / "", {"run", "sweep.yaml"}));
  const auto duration = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - start);
  fs::remove(file);
  Random random(5);
  Rows rows;
  int n_killed = 0, n_finished = 0;
  while (n_killed < n_kills() && !HasFailure()) {
    Process run(folder_ / "", {"run", "sweep.yaml"});
    std::this_thread::sleep_for(std::chrono::microseconds(random.between(0, duration.count())));
    run.kill();
    const bool has_ended = run.wait().status == 0;
    rows = checked(file, rows);
    if (!has_ended) {
      ++n_killed;
    } else {
      expect_finished(file);
      ++n_finished;
      fs::remove(file);
      rows.clear();
    }
  }
  expect_done(kvbench(folder_ / "", {"run", "sweep.yaml"}));
  expect_finished(file);
  std::cout << n_killed << " kills at random moments, " << n_finished << " runs ended between\n";
}

TEST_F(KillTest, AtWriteCalls) {
  constexpr int kAboutWrites = 150;
  const int step = std::max(1, kAboutWrites / n_kills());
  const fs::path file = folder_ / "out.h5";
  int n_killed = 0;
  for (int at = 0; !HasFailure(); at += step, ++n_killed) {
    SCOPED_TRACE(fmt::format("write {}", at));
    const Outcome outcome = killed_at_write(folder_ / "", {"run", "sweep.yaml"}, at);
    if (outcome.status == 0) break;  // the run has fewer writes
    ASSERT_EQ(outcome.status, -SIGKILL) << outcome.err;
    checked(file, {});
    expect_done(kvbench(folder_ / "", {"run", "sweep.yaml"}));
    expect_finished(file);
    fs::remove(file);
  }
  EXPECT_GT(n_killed, 2);
  std::cout << n_killed << " kills, each at another write call\n";
}

TEST_F(KillTest, AMergeLeavesAllOrNothing) {
  Words merge = {"merge", "out.h5"};
  for (const char* shard : {"1/2", "2/2"}) {
    expect_done(kvbench(folder_ / "", {"run", "sweep.yaml", "--shard", shard}));
    merge.push_back(fmt::format("out.shard-{}-of-2.h5", shard[0]));
  }
  int at = 0;
  for (;; at += std::max(1, 60 / n_kills())) {
    const Outcome outcome = killed_at_write(folder_ / "", merge, at);
    if (outcome.status == 0) break;
    ASSERT_EQ(outcome.status, -SIGKILL) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
  }
  EXPECT_GT(at, 0);
  std::cout << at << " write calls of a merge\n";
  expect_finished(folder_ / "out.h5");
  EXPECT_EQ(killed_at_write(folder_ / "", merge, 0).status, -SIGKILL);
  expect_finished(folder_ / "out.h5");  // the earlier one
}

}  // namespace
}  // namespace kvbench
