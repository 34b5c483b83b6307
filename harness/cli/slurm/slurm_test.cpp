// A sweep on a real Slurm of one node: an array of four shards of which one is killed and requeued,
// and the merge behind it.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "harness/base/process.h"
#include "harness/results/test_run.h"
#include "harness/sweep/test_model.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = KVBENCH_TEST_ROOT;

constexpr const char* kSweep = R"(name: slurm
model: {path: model}
device: cpu
chat_template: false
tasks:
  - {task: ruler/niah_single_1, lengths: [1024, 2048], samples: 16, max_new_tokens: 8}
policies: [full, snapkv, keydiff]
ratios: [0.5, 0.8]
output: out.h5
)";

// Everything of the rows but times.
std::vector<std::string> texts_of(const fs::path& file) {
  const Results results = read_results(file);
  const auto keep_counts = read_keep_counts(results);
  std::vector<std::string> texts;
  for (size_t i = 0; i < results.rows.size(); ++i) {
    std::string& all = texts.emplace_back();
    visit_columns(results.rows[i], [&](const char* name, const auto& value) {
      if (!std::string(name).ends_with("_ms")) all += fmt::format("{}={}\n", name, value);
    });
    for (const auto count : keep_counts[i]) all += fmt::format("{} ", count);
  }
  return texts;
}

std::string text_of(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class SlurmTest : public testing::Test {
 protected:
  void SetUp() override {
    const Finished started = cluster("start");
    if (started.status == 77) GTEST_SKIP() << "Slurm is not installed (slurm-wlm and munge)";
    ASSERT_EQ(started.status, 0);
    setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
    setenv("KVBENCH", KVBENCH_BINARY, 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    test_model::write(folder_ / "model");
    std::ofstream(folder_ / "sweep.yaml") << kSweep;
    fs::current_path(folder_ / "");
  }
  void TearDown() override {
    fs::current_path(kRoot);
    cluster("stop");
  }

  Finished cluster(const std::string& verb) {
    return run_for_output(
        {(kRoot / "harness/cli/slurm/cluster.sh").string(), verb, (folder_ / "").string()});
  }

  static std::string output(const std::vector<std::string>& words) {
    const Finished finished = run_for_output(words);
    EXPECT_EQ(finished.status, 0) << words[0];
    return finished.output;
  }

  // Waits until `holds`, at most a minute.
  template <class F>
  static bool wait_until(F&& holds) {
    for (int i = 0; i < 600; ++i) {
      if (holds()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }

  test_run::Folder folder_;
};

TEST_F(SlurmTest, AnArrayWithAKilledTaskEqualsTheSingleRun) {
  const std::string jobs =
      output({(kRoot / "configs/slurm/submit").string(), "4", "sweep.yaml", "out.h5"});
  SCOPED_TRACE(jobs);
  // The lock file of a shard names the process that writes it.
  const fs::path shard = folder_ / "out.shard-2-of-4.h5";
  pid_t pid = 0;
  ASSERT_TRUE(wait_until([&] {
    std::string word;
    std::ifstream(shard.string() + ".lock") >> word >> pid;
    return pid > 0 && test_run::rows_by_now(shard) > 0;
  }));
  const size_t before = test_run::rows_by_now(shard);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_FALSE(read_results(shard).state.complete) << "it was killed too late";
  // Slurm lets a requeued job wait for two minutes; nobody here needs them.
  EXPECT_TRUE(wait_until([&] {
    const std::string waiting = output({"squeue", "-h", "-r", "-t", "PD", "-o", "%i %r"});
    if (waiting.find("_2 BeginTime") != std::string::npos) {
      output(
          {"scontrol", "update", "JobId=" + waiting.substr(0, waiting.find(' ')), "StartTime=now"});
    }
    return output({"squeue", "-h"}).empty();
  })) << output({"squeue"});
  std::string logs;
  for (const auto& entry : fs::directory_iterator(folder_ / "")) {
    if (entry.path().extension() == ".txt") {
      logs += entry.path().filename().string() + ":\n" + text_of(entry.path());
    }
  }
  EXPECT_NE(logs.find("requeued, goes on where it stood"), std::string::npos) << logs;
  ASSERT_TRUE(fs::exists(folder_ / "out.h5")) << logs;
  EXPECT_TRUE(read_results(folder_ / "out.h5").state.complete) << logs;
  const std::string sessions = read_results(shard).state.sessions;
  EXPECT_EQ(std::count(sessions.begin(), sessions.end(), '\n'), 2) << "not gone on with";
  EXPECT_GE(read_results(shard).rows.size(), before);

  output({KVBENCH_BINARY, "run", "sweep.yaml", "--output", "single.h5"});
  EXPECT_EQ(texts_of(folder_ / "out.h5"), texts_of(folder_ / "single.h5"));
  EXPECT_EQ(texts_of(folder_ / "out.h5").size(), 2u * 16 * 5);
}

}  // namespace
}  // namespace kvbench
