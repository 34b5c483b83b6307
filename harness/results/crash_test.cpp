// Kills a writer with SIGKILL: at every single write call of a run, and at random moments.
// The file must be readable by another process each time, hold the rows that were finished, and a
// resumed run must end with the rows of an uninterrupted one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "harness/base/random.h"
#include "harness/results/test_run.h"

namespace {

// What happens at the write call number `at` of this process; HDF5 writes through pwrite alone.
enum class Fault { kNone, kKill, kTear, kDiskFull };
struct {
  Fault fault = Fault::kNone;
  long at = 0, calls = 0;
} injected;

ssize_t write_at(int fd, const void* bytes, size_t count, off_t offset) {
  const auto write = [&](size_t part) { return syscall(SYS_pwrite64, fd, bytes, part, offset); };
  const bool now = injected.fault != Fault::kNone && injected.calls++ >= injected.at;
  if (now && injected.fault == Fault::kDiskFull) {
    errno = ENOSPC;
    return -1;
  }
  if (now) {
    // A kill may cut a write where one page of the file ends, nowhere else.
    const auto in_page = 4096 - static_cast<size_t>(offset) % 4096;
    if (injected.fault == Fault::kTear && count > in_page) write(in_page);
    raise(SIGKILL);
  }
  return write(count);
}

}  // namespace

// The executable's symbols go before the C library's.
extern "C" ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return write_at(fd, bytes, count, offset);
}
extern "C" ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return write_at(fd, bytes, count, offset);
}

namespace kvbench {
namespace {

pid_t start(const std::function<void()>& work) {
  std::cout.flush();
  const pid_t child = fork();
  if (child != 0) return child;
  alarm(60);  // a reader must not hang on a bad file
  try {
    work();
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    _exit(1);
  }
  _exit(0);
}

// Exit status of `child`, or minus the signal that ended it.
int wait_for(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int in_child(const std::function<void()>& work) { return wait_for(start(work)); }

void expect_resumable(const std::filesystem::path& path, int64_t samples) {
  if (std::filesystem::exists(path)) {
    ASSERT_EQ(in_child([&] { test_run::checked_rows(path); }), 0) << "not readable";
  }
  ASSERT_EQ(in_child([&] { test_run::work(path, samples); }), 0) << "not resumed";
  ASSERT_EQ(test_run::checked_rows(path), 2 * samples);
  ASSERT_TRUE(read_results(path).state.complete);
}

// Kills a run of `samples`, begun anew or as the extension of a finished one of `before`.
void kill_at_every_write(Fault fault, int64_t before = 0) {
  const test_run::Folder folder;
  const int64_t samples = 3;
  long at = 0;
  for (;; ++at) {
    const auto path = folder / fmt::format("{}.h5", at);
    if (before > 0) test_run::work(path, before);
    const int status = in_child([&] {
      injected = {fault, at, 0};
      test_run::work(path, samples);
    });
    if (status == 0) break;  // the run has fewer writes
    ASSERT_EQ(status, -SIGKILL);
    SCOPED_TRACE(fmt::format("killed at write {}", at));
    if (before > 0) {
      ASSERT_GE(test_run::checked_rows(path), 2 * before) << "a finished row was lost";
    }
    ASSERT_NO_FATAL_FAILURE(expect_resumable(path, samples));
  }
  std::cout << at << " writes, a kill at each of them\n";
  EXPECT_GT(at, 30);
}

TEST(Crash, KilledAtEveryWrite) { kill_at_every_write(Fault::kKill); }

TEST(Crash, KilledInsideEveryWrite) { kill_at_every_write(Fault::kTear); }

TEST(Crash, ExtensionKilledAtEveryWrite) { kill_at_every_write(Fault::kKill, 1); }

// Kills at random moments of a run of `samples`, begun anew or as the extension of a finished one.
// KVBENCH_KILLS says how many, beyond what every test run can wait for.
void kill_at_random(int64_t samples, int64_t before) {
  const char* asked = std::getenv("KVBENCH_KILLS");
  const int rounds = asked == nullptr ? 15 : std::atoi(asked);
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  Random random(7);
  int64_t rows = 0;
  int n_killed = 0, n_runs = 0;
  for (int round = 0; round < rounds; ++round) {
    if (before > 0 && !std::filesystem::exists(path)) {
      test_run::work(path, before);
      rows = 2 * before;
    }
    const pid_t writer = start([&] { test_run::work(path, samples); });
    std::this_thread::sleep_for(std::chrono::microseconds(random.between(1000, 30000)));
    kill(writer, SIGKILL);
    const bool has_ended = wait_for(writer) == 0;
    n_killed += has_ended ? 0 : 1;
    if (!std::filesystem::exists(path)) continue;
    ASSERT_EQ(in_child([&] { test_run::checked_rows(path); }), 0) << "kill " << round;
    const auto now = static_cast<int64_t>(read_results(path).rows.size());
    EXPECT_GE(now, rows) << "a finished row was lost";
    rows = now;
    if (has_ended) {  // the next run begins anew
      EXPECT_EQ(rows, 2 * samples);
      std::filesystem::remove(path);
      rows = 0;
      ++n_runs;
    }
  }
  std::cout << n_killed << " kills, " << n_runs << " runs came to their end between them\n";
  EXPECT_GT(n_killed, rounds / 2);
  expect_resumable(path, samples);
}

TEST(Crash, KilledAtRandomMoments) { kill_at_random(2000, 0); }

TEST(Crash, ExtensionKilledAtRandomMoments) { kill_at_random(2000, 200); }

TEST(Crash, FullDiskKeepsTheRowsBefore) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  const int64_t samples = 4;
  ASSERT_EQ(in_child([&] {
              ResultsStore store(path, test_run::info(), test_run::plan(samples), test_run::kLayers,
                                 test_run::kHeads);
              for (int64_t i = 0; i < 3; ++i) store.append(test_run::row(i), {});
              for (int64_t i = 0; i < 3; ++i) {
                injected = {Fault::kDiskFull, i, 0};  // keep counts, record, header
                std::string text;
                try {
                  store.append(test_run::row(3), test_run::keep_counts(3));
                } catch (const std::runtime_error& e) {
                  text = e.what();
                }
                injected.fault = Fault::kNone;
                KVB_CHECK(text.find("No space left on device") != std::string::npos &&
                              text.find("run.h5") != std::string::npos,
                          "write {}: {}", i, text);
                KVB_CHECK(read_results(path).rows.size() == 3, "write {}", i);
              }
              store.append(test_run::row(3), test_run::keep_counts(3));
            }),
            0);
  EXPECT_EQ(read_results(path).rows.size(), 4u);
  EXPECT_EQ(in_child([&] {
              injected = {Fault::kDiskFull, 0, 0};
              test_run::work(path, samples);
            }),
            1);
  EXPECT_EQ(read_results(path).rows.size(), 4u);
  EXPECT_EQ(in_child([&] { test_run::work(path, samples); }), 0);
  EXPECT_EQ(read_results(path).rows.size(), 8u);
}

}  // namespace
}  // namespace kvbench
