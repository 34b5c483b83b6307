// Isolated measurements as processes: what is left of them when their run is killed, and how it
// goes on.
#include <chrono>
#include <thread>

#include "harness/cli/test_sweep.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using namespace test_sweep;

// Ids of the processes that run `kvbench measure` for the process `parent`.
std::vector<pid_t> measuring(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream status(entry.path() / "stat"), command(entry.path() / "cmdline");
    std::string id, name, state, words;
    pid_t parent_id = 0;
    if (!(status >> id >> name >> state >> parent_id) || parent_id != parent) continue;
    std::getline(command, words);
    if (words.find(std::string("\0measure", 8)) != words.npos) children.push_back(std::stoi(id));
  }
  return children;
}

bool is_running(pid_t id) { return fs::exists("/proc/" + std::to_string(id) + "/exe"); }

// Waits until `condition` holds, a minute at most.
template <class F>
bool wait_until(F&& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(Measure, IsKilledWithItsRunAndGoneOnWith) {
  const Folder folder(1);
  const std::vector<std::string> run = {
      "run", "sweep.yaml", "--set",
      "latency={repeats: 2, warmup: 0, lengths: [64], decode_tokens: 3}"};
  const fs::path file = folder / "out.h5";
  size_t n_before = 0;
  {
    Process process(folder / "", run);
    std::vector<pid_t> children;
    // In the second measurement or a later one.
    ASSERT_TRUE(wait_until([&] {
      children = measuring(process.id());
      try {
        n_before = children.empty() || !fs::exists(file) ? 0 : read_results(file).latency.size();
      } catch (const std::runtime_error&) {  // this look met a write
      }
      return n_before > 0;
    }));
    process.kill();
    process.wait();
    for (const pid_t child : children) {
      EXPECT_TRUE(wait_until([&] { return !is_running(child); })) << child;
    }
  }
  const Results so_far = read_results(file);
  EXPECT_GE(so_far.latency.size(), n_before);
  EXPECT_FALSE(so_far.state.complete);
  expect_done(kvbench(folder / "", run));
  const Results whole = read_results(file);
  EXPECT_TRUE(whole.state.complete);
  ASSERT_EQ(whole.latency.size(), 6u);
  std::set<std::pair<std::string, int64_t>> repeats;
  for (size_t i = 0; i < whole.latency.size(); ++i) {
    EXPECT_EQ(whole.latency[i].error, "");
    repeats.emplace(whole.latency[i].cell_id, whole.latency[i].repeat);
    if (i < so_far.latency.size()) {
      EXPECT_EQ(whole.latency[i].tpot_ms, so_far.latency[i].tpot_ms);
    }
  }
  EXPECT_EQ(repeats.size(), 6u);
}

TEST(Measure, IsNoVerbOfHelp) {
  const Folder folder(1);
  const Outcome help = kvbench(folder / "", {"--help"});
  EXPECT_EQ(help.out.find("measure "), std::string::npos) << help.out;
}

TEST(Measure, BatchesAreReported) {
  const Folder folder(1);
  const Outcome outcome =
      kvbench(folder / "",
              {"run", "sweep.yaml", "--set",
               "latency={repeats: 1, warmup: 0, lengths: [64], decode_tokens: 3, batch: [1, 2]}",
               "--set", "policies=[full]"});
  expect_done(outcome);
  const Outcome table = kvbench(folder / "", {"report", "out.h5", "--table", "latency"});
  expect_done(table);
  for (const char* part : {"sequences 1", "sequences 2", "floor ms", "floor / TPOT", "p90"}) {
    EXPECT_NE(table.out.find(part), std::string::npos) << part << " in\n" << table.out;
  }
  expect_refused(
      kvbench(folder / "", {"run", "sweep.yaml", "--set", "latency={lengths: [64], batch: [0]}"}),
      {"batch: expected at least 1, got 0"});
}

}  // namespace
}  // namespace kvbench
