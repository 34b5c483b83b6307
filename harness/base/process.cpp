#include "harness/base/process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// Starts the program; -1 when that fails. `out`, when not negative, becomes its stdout, and its
// stderr goes nowhere.
pid_t start(std::vector<std::string>& arguments, int out) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (out >= 0) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    ::dup2(out, STDOUT_FILENO);
  }
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

// Whether the child ends with status 0. A signal that wakes us (a progress bar's timer, a resized
// terminal) is not its end.
bool succeeds(pid_t child) {
  if (child < 0) return false;
  int status = 0;
  pid_t ended = -1;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  return ended == child && status == 0;
}

}  // namespace

void run_program(std::vector<std::string> arguments) {
  if (!succeeds(start(arguments, -1))) {
    throw std::runtime_error(fmt::format("{} failed", arguments[0]));
  }
}

std::optional<std::string> output_of(std::vector<std::string> arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return std::nullopt;
  const pid_t child = start(arguments, ends[1]);
  ::close(ends[1]);
  std::string output;
  char block[4096];
  for (ssize_t n; (n = ::read(ends[0], block, sizeof block)) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) output.append(block, static_cast<size_t>(n));
  }
  ::close(ends[0]);
  if (!succeeds(child)) return std::nullopt;
  return output;
}

}  // namespace kvbench
