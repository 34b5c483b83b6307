// For the tests of this folder: a hub on this machine, and a user who has never used it.
#pragma once

#include <memory>

#include "harness/base/paths.h"
#include "harness/base/test_util.h"
#include "harness/cli/test_process.h"
#include "harness/results/test_run.h"

namespace kvbench::test_process {

class HubServer : public testing::Test {
 protected:
  static constexpr const char* kToken = "hf_the_right_one";

  HubServer() {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"}) {
      clean_.push_back(std::make_unique<WithEnv>(name, ""));
    }
    std::filesystem::create_directory(hub());
    start();
  }

  ~HubServer() override { stop(); }

  std::filesystem::path hub() const { return folder_ / "hub"; }
  std::filesystem::path cache() const { return folder_ / "home/hub"; }
  std::string log() const { return read_bytes(hub() / "log"); }

  Outcome kvbench(const std::vector<std::string>& arguments) const {
    return test_process::kvbench(folder_ / "", arguments);
  }

  // One line on stderr, after those of progress.
  static void expect_last_line(const Outcome& outcome, const std::vector<std::string>& parts) {
    const size_t end = outcome.err.find_last_of("\n\r", outcome.err.size() - 2);
    expect_refused(
        {outcome.status, outcome.out, outcome.err.substr(end == outcome.err.npos ? 0 : end + 1)},
        parts);
  }

  void stop() {
    if (server_ <= 0) return;
    ::kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = -1;
  }

  test_run::Folder folder_;
  WithEnv home_{"HF_HOME", (folder_ / "home").c_str()};
  WithEnv token_{"HF_TOKEN", ""};
  WithEnv no_proxy_{"NO_PROXY", "127.0.0.1"}, no_proxy_lower_{"no_proxy", "127.0.0.1"};
  std::unique_ptr<WithEnv> endpoint_;

 private:
  void start() {
    const std::string python = (deps_dir() / "venv/bin/python").string(),
                      script = KVBENCH_TEST_ROOT "/harness/cli/hub_server.py",
                      root = hub().string();
    int ends[2];
    KVB_CHECK(pipe(ends) == 0, "no pipe");
    server_ = fork();
    if (server_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      execl(python.c_str(), python.c_str(), script.c_str(), root.c_str(), kToken, nullptr);
      _exit(127);
    }
    close(ends[1]);
    std::string port;
    for (char c = 0; read(ends[0], &c, 1) == 1 && c != '\n';) port += c;
    KVB_CHECK(!port.empty(), "the server did not start");
    close(ends[0]);
    endpoint_ = std::make_unique<WithEnv>("HF_ENDPOINT", ("http://127.0.0.1:" + port).c_str());
  }

  std::vector<std::unique_ptr<WithEnv>> clean_;
  pid_t server_ = -1;
};

}  // namespace kvbench::test_process
