// A disk that fills up while a sweep runs: a small file system of its own, which root alone may
// mount.
#include <sys/mount.h>

#include <chrono>
#include <thread>

#include "harness/cli/test_sweep.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using namespace test_sweep;

class FullDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(disk_);
    if (mount("none", disk_.c_str(), "tmpfs", 0, "size=8m") != 0) {
      GTEST_SKIP() << "no file system can be mounted here";
    }
  }
  void TearDown() override { umount2(disk_.c_str(), MNT_DETACH); }

  // Takes all room but about `left` bytes.
  void fill(uintmax_t left) {
    const auto free = fs::space(disk_).available;
    ASSERT_GT(free, left);
    write_bytes(disk_ / "filler", std::string(free - left, 'x'));
  }
  void make_room() { fs::remove(disk_ / "filler"); }

  Outcome run() { return kvbench(folder_ / "", {"run", "sweep.yaml", "--output", "disk/out.h5"}); }

  static void expect_no_room(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_NE(outcome.err.find("disk/out.h5"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find("No space left on device"), std::string::npos) << outcome.err;
  }

  Folder folder_{60};
  fs::path disk_ = folder_ / "disk", file_ = disk_ / "out.h5";
};

TEST_F(FullDiskTest, NothingIsLostAndTheRunGoesOn) {
  fill(8192);
  expect_no_room(run());  // before anything is computed
  EXPECT_FALSE(fs::exists(file_));
  make_room();

  // Full while it runs: rows have their place, what is rewritten at the end has none.
  Process running(folder_ / "", {"run", "sweep.yaml", "--output", "disk/out.h5"});
  while (running.running() && test_run::rows_by_now(file_) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  fill(0);
  expect_no_room(running.wait());
  const Rows so_far = rows_of(file_);
  EXPECT_EQ(so_far.size(), 180u);
  EXPECT_FALSE(read_results(file_).state.complete);
  expect_no_room(run());
  EXPECT_EQ(rows_of(file_), so_far);

  make_room();
  expect_done(run());
  EXPECT_TRUE(read_results(file_).state.complete);
  expect_done(kvbench(folder_ / "", {"run", "sweep.yaml", "--output", "whole.h5"}));
  EXPECT_EQ(rows_of(file_), rows_of(folder_ / "whole.h5"));
}

}  // namespace
}  // namespace kvbench
