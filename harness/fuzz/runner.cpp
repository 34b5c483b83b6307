#include "harness/fuzz/runner.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <thread>

#include "harness/base/error.h"

namespace kvbench::fuzz {
namespace {

namespace fs = std::filesystem;

// The child's side of what parent and child share.
struct Progress {
  volatile int64_t input;  // being read
  volatile int64_t read, refused;
  volatile bool in_library;
  char what[600];  // of a failure; empty = none
};
Progress* progress = nullptr;

void say_what(const char* what) { std::strncpy(progress->what, what, sizeof(progress->what) - 1); }

class WorkFolder {
 public:
  WorkFolder() {
    const bool memory = access("/dev/shm", W_OK) == 0;
    std::string name = (memory ? "/dev/shm" : fs::temp_directory_path().string()) + "/fuzz_XXXXXX";
    KVB_CHECK(mkdtemp(name.data()) != nullptr, "{}: cannot be created", name);
    path_ = name;
  }
  ~WorkFolder() {
    if (!kept_) fs::remove_all(path_);
  }
  void keep() { kept_ = true; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool kept_ = false;
};

void write_file(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

Random random_of(uint64_t seed, int64_t input) {
  return Random(Random(seed).next() ^ static_cast<uint64_t>(input));
}

// ---- in the child -------------------------------------------------------------------------------
// Whose code was running: the innermost caller that is either ours or libhdf5's.
bool stack_ends_in_library() {
  std::array<void*, 64> frames{};
  const int n = backtrace(frames.data(), static_cast<int>(frames.size()));
  Dl_info own{};
  dladdr(reinterpret_cast<void*>(&stack_ends_in_library), &own);
  bool behind_handler = false;  // the frames of this handler end with the C library's trampoline
  for (int i = 0; i < n; ++i) {
    Dl_info info{};
    if (dladdr(frames[static_cast<size_t>(i)], &info) == 0) continue;
    const bool ours = info.dli_fbase == own.dli_fbase;
    if (!ours) behind_handler = true;
    if (std::strstr(info.dli_fname, "libhdf5") != nullptr) return true;
    if (ours && behind_handler) return false;
  }
  return false;
}

void on_signal(int signal) {
  // Nothing here is safe in a signal handler; the parent ends a child that hangs.
  progress->in_library = stack_ends_in_library();
  say_what(signal == SIGXCPU   ? "takes too long"
           : signal == SIGUSR1 ? "takes too much memory"
                               : strsignal(signal));
  _exit(1);
}

void handle_signals() {
#ifdef __SANITIZE_ADDRESS__  // it prints what it found, then ends the process
  __sanitizer_set_death_callback([] { progress->in_library = stack_ends_in_library(); });
#endif
  static std::array<char, 1 << 16> stack;  // a stack of its own: overflows of the other are found
  stack_t other{};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  sigaltstack(&other, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK | static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGUSR1}) {
    sigaction(signal, &action, nullptr);
  }
  std::array<void*, 2> first{};
  backtrace(first.data(), 2);  // loads what it needs now
}

// What is wrong with an error that a reader answered with; empty = nothing.
std::string fault(const Target& target, const fs::path& folder, const std::exception& error) {
  const std::string what = error.what();
  const bool refusal = dynamic_cast<const InputError*>(&error) != nullptr ||
                       (target.runtime_errors && typeid(error) == typeid(std::runtime_error));
  if (!refusal) return fmt::format("{}: {}", typeid(error).name(), what);
  if (what.find('\n') != what.npos) return "the message has several lines: " + what;
  if (what.find(folder.string()) == what.npos) return "the message names no file: " + what;
  return "";
}

// One input; true when it is read, false when it is refused as it should be. Anything else ends the
// child.
bool read_input(const Target& target, const fs::path& folder) {
  try {
    target.read(folder);
    return true;
  } catch (const std::exception& error) {
    const std::string what = fault(target, folder, error);
    if (what.empty()) return false;
    say_what(what.c_str());
  } catch (...) {
    say_what("throws what is no std::exception");
  }
  _exit(1);
}

using Clock = std::chrono::steady_clock;

void work(const Target& target, const fs::path& folder, const std::vector<std::string>& files,
          const Options& options, int64_t first, Clock::time_point end) {
  handle_signals();
  for (int64_t i = first; options.seconds > 0 ? Clock::now() < end : i < options.inputs; ++i) {
    Random random = random_of(options.seed, i);
    write_file(folder / target.file, mutate(files, target.form, random));
    progress->input = i;
    if (read_input(target, folder)) {
      progress->read = progress->read + 1;
    } else {
      progress->refused = progress->refused + 1;
    }
  }
  _exit(0);
}

// ---- in the parent ------------------------------------------------------------------------------
double cpu_seconds(pid_t pid) {
  clockid_t clock{};
  timespec now{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int64_t resident_bytes(pid_t pid) {
  int64_t pages = 0, resident = 0;
  std::ifstream(fmt::format("/proc/{}/statm", pid)) >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Waits for the child and ends it when an input needs too much. Returns waitpid's status.
int watch(pid_t pid, const Options& options) {
  int64_t input = -1;
  double cpu_before = 0;
  const int64_t memory_before = resident_bytes(pid);
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    if (const int64_t now = progress->input; now != input) {
      input = now;
      cpu_before = cpu_seconds(pid);
    }
    const bool slow = cpu_seconds(pid) - cpu_before > options.cpu_seconds_of_input;
    if (!slow && resident_bytes(pid) - memory_before <= options.memory) continue;
    kill(pid, slow ? SIGXCPU : SIGUSR1);
    for (int i = 0; i < 200; ++i) {
      if (waitpid(pid, &status, WNOHANG) != 0) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(pid, SIGKILL);
  }
  return status;
}

// The same failure, whatever numbers it names.
std::string without_numbers(std::string text) {
  std::erase_if(text, [](char c) { return (c >= '0' && c <= '9') || c == '-'; });
  return text.substr(0, 80);
}

void check_good_files(const Target& target, const fs::path& folder,
                      const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    write_file(folder / target.file, file);
    try {
      target.read(folder);
    } catch (const std::exception& error) {
      throw std::runtime_error(
          fmt::format("{}: a good file is refused: {}", target.name, error.what()));
    }
  }
}

}  // namespace

Summary run(const Target& target, const Options& options) {
  const WorkFolder folder;
  const auto files = target.prepare(folder.path());
  void* shared =
      mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  KVB_CHECK(shared != MAP_FAILED, "no shared memory");
  progress = new (shared) Progress{};
  if (const pid_t pid = fork(); pid == 0) {  // in a child: libraries start their threads in it
    try {
      check_good_files(target, folder.path(), files);
    } catch (const std::exception& error) {
      say_what(error.what());
      _exit(1);
    }
    _exit(0);
  } else if (int status = 0; waitpid(pid, &status, 0) != pid || status != 0) {
    throw std::runtime_error(progress->what[0] != 0 ? progress->what
                                                    : target.name + ": crashes on a good file");
  }
  const auto end = Clock::now() + std::chrono::milliseconds(std::llround(options.seconds * 1000));
  Summary summary;
  std::map<std::string, int64_t> seen;
  for (int64_t next = 0; summary.failures.size() < kMostFailures;) {
    progress->what[0] = 0;
    progress->in_library = false;
    progress->input = next;
    const pid_t pid = fork();
    KVB_CHECK(pid >= 0, "no child process");
    if (pid == 0) work(target, folder.path(), files, options, next, end);
    const int status = watch(pid, options);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    next = progress->input + 1;
    if (progress->in_library) {
      ++summary.library_crashes;
      continue;
    }
    ++summary.failed;
    const std::string what =
        progress->what[0] != 0 ? progress->what : "the process ends, see above";
    if (seen[without_numbers(what)]++ == 0) summary.failures.push_back({progress->input, what});
  }
  summary.read = progress->read;
  summary.refused = progress->refused;
  summary.inputs = summary.read + summary.refused + summary.failed + summary.library_crashes;
  munmap(shared, sizeof(Progress));
  progress = nullptr;
  return summary;
}

std::filesystem::path make_input(const Target& target, uint64_t seed, int64_t input) {
  WorkFolder folder;
  const auto files = target.prepare(folder.path());
  Random random = random_of(seed, input);
  write_file(folder.path() / target.file, mutate(files, target.form, random));
  folder.keep();
  return folder.path();
}

}  // namespace kvbench::fuzz
