#include "harness/base/process.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <csignal>
#include <stdexcept>

namespace kvbench {
namespace {

TEST(Process, WaitsForTheStatus) {
  EXPECT_NO_THROW(run_program({"/bin/true"}));
  EXPECT_THROW(run_program({"/bin/false"}), std::runtime_error);
  EXPECT_THROW(run_program({"/no/such/program"}), std::runtime_error);
}

TEST(Process, OutputIsThatOfTheArgumentsAsTheyAre) {
  const std::string hard = "it's $HOME \"`id`\"; \\ *";
  EXPECT_EQ(output_of({"printf", "%s", hard}), hard);
  EXPECT_EQ(output_of({"/bin/true"}), "");
  EXPECT_EQ(output_of({"head", "-c", "1000000", "/dev/zero"})->size(), 1000000u);
  EXPECT_EQ(output_of({"/bin/false"}), std::nullopt);
  EXPECT_EQ(output_of({"no_such_program_of_ours"}), std::nullopt);
}

TEST(Process, OutputIsKeptOfOneThatFails) {
  const Finished failed = run_for_output({"sh", "-c", "echo why; exit 2"});
  EXPECT_EQ(failed.status, 2);
  EXPECT_EQ(failed.output, "why\n");
  EXPECT_EQ(run_for_output({"/bin/true"}).status, 0);
  EXPECT_EQ(run_for_output({"sh", "-c", "kill -9 $$"}).status, -1);
}

// A signal with a handler interrupts waitpid() and read().
TEST(Process, SignalsDoNotEndTheWaiting) {
  struct sigaction count = {}, before = {};
  static volatile sig_atomic_t n_signals = 0;
  n_signals = 0;
  count.sa_handler = [](int) { n_signals = n_signals + 1; };
  sigaction(SIGALRM, &count, &before);
  const itimerval often = {{0, 20000}, {0, 20000}}, never = {};
  setitimer(ITIMER_REAL, &often, nullptr);
  EXPECT_NO_THROW(run_program({"/bin/sleep", "0.2"}));
  EXPECT_EQ(output_of({"sh", "-c", "sleep 0.2; echo x"}), "x\n");
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  EXPECT_GT(n_signals, 0);
}

}  // namespace
}  // namespace kvbench
