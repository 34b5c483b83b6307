// For the tests of this folder: kvbench as its users meet it, a process.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.h"

namespace kvbench::test_process {

struct Outcome {
  int status = 0;  // exit status, or minus the signal that ended it
  std::string out, err;
};

// A started kvbench with what it prints kept in memory. One that hangs is ended by SIGALRM.
class Process {
 public:
  Process(const std::filesystem::path& folder, const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {KVBENCH_BINARY};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (auto& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    child_ = fork();
    if (child_ != 0) return;
    constexpr unsigned kLongestRun = 120;  // seconds
    alarm(kLongestRun);
    setenv("OMP_NUM_THREADS", "1", 1);
    dup2(out_, STDOUT_FILENO);
    dup2(err_, STDERR_FILENO);
    if (chdir(folder.c_str()) == 0) execv(argv[0], argv.data());
    _exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (child_ > 0) {
      kill();
      waitpid(child_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }

  pid_t id() const { return child_; }
  void send(int signal) const { ::kill(child_, signal); }
  void kill() const { send(SIGKILL); }

  bool running() const {
    siginfo_t info{};
    waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT);
    return info.si_pid == 0;
  }

  Outcome wait() {
    int status = 0;
    KVB_CHECK(waitpid(child_, &status, 0) == child_, "no child to wait for");
    child_ = -1;
    return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), text_of(out_),
            text_of(err_)};
  }

 private:
  static std::string text_of(int descriptor) {
    std::string text(static_cast<size_t>(lseek(descriptor, 0, SEEK_END)), '\0');
    const auto size = pread(descriptor, text.data(), text.size(), 0);
    KVB_CHECK(size == static_cast<ssize_t>(text.size()), "what kvbench printed is lost");
    return text;
  }

  int out_ = memfd_create("stdout", 0), err_ = memfd_create("stderr", 0);
  pid_t child_ = -1;
};

inline Outcome kvbench(const std::filesystem::path& folder,
                       const std::vector<std::string>& arguments) {
  return Process(folder, arguments).wait();
}

inline void expect_done(const Outcome& outcome) {
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out, "");
}

// The contract for a wrong request: status 2, one line on stderr that holds `parts`, nothing else.
inline void expect_refused(const Outcome& outcome, const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("kvbench: ")) << outcome.err;
  EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  for (const auto& part : parts) {
    EXPECT_NE(outcome.err.find(part), std::string::npos)
        << "no \"" << part << "\": " << outcome.err;
  }
}

inline std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  KVB_CHECK(in.good(), "{}: cannot be read", file.string());
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

inline void write_bytes(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

// Paths of all files and folders below `folder`.
inline std::set<std::string> names_below(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    names.insert(entry.path().string());
  }
  return names;
}

// What the source tree holds: a random model of 2 layers, 4 heads, 96 ids and 2048 positions, and
// a tokenizer (of more ids than that).
inline std::filesystem::path tiny_model() {
  return std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama2";
}
inline std::filesystem::path tiny_tokenizer() {
  return std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json";
}

// "FIRST\nFIRST + 1\n...": a file of token ids.
inline std::string id_lines(int first, int count, int vocabulary = 96) {
  std::string lines;
  for (int i = 0; i < count; ++i) lines += fmt::format("{}\n", (first + i) % vocabulary);
  return lines;
}

}  // namespace kvbench::test_process
