#include "harness/base/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "harness/base/error.h"

namespace kvbench {
namespace {

enum class Complaints { kShown, kDropped };

// Starts the program; -1 when that fails. `out` and `in`, when not negative, become its stdout and
// stdin.
pid_t start(std::vector<std::string>& arguments, int out, Complaints complaints, int in = -1) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child != 0) return child;
  if (complaints == Complaints::kDropped) ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
  if (out >= 0) ::dup2(out, STDOUT_FILENO);
  if (in >= 0) ::dup2(in, STDIN_FILENO);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

// A file without a name that holds the text, at its start; a pipe could fill up while the program
// writes. -1 when that fails.
int file_with(std::string_view text) {
  const int file = ::memfd_create("input", MFD_CLOEXEC);
  while (file >= 0 && !text.empty()) {
    const ssize_t n = ::write(file, text.data(), text.size());
    if (n > 0) {
      text.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      ::close(file);
      return -1;
    }
  }
  if (file >= 0) ::lseek(file, 0, SEEK_SET);
  return file;
}

// How the child ended. A signal that wakes us (a progress bar's timer, a resized terminal) is not
// its end.
Finished end_of(pid_t child) {
  if (child < 0) return {-1, ""};
  int status = 0;
  pid_t ended = -1;
  do {
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  if (ended != child) return {-1, ""};
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, "",
          WIFSIGNALED(status) ? WTERMSIG(status) : 0};
}

Finished run(std::vector<std::string> arguments, Complaints complaints,
             std::optional<std::string_view> input = std::nullopt) {
  int in = -1;
  if (input && (in = file_with(*input)) < 0) return {-1, ""};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    if (in >= 0) ::close(in);
    return {-1, ""};
  }
  const pid_t child = start(arguments, ends[1], complaints, in);
  ::close(ends[1]);
  if (in >= 0) ::close(in);
  std::string output;
  char block[4096];
  for (ssize_t n; (n = ::read(ends[0], block, sizeof block)) > 0 || (n < 0 && errno == EINTR);) {
    if (n > 0) output.append(block, static_cast<size_t>(n));
  }
  ::close(ends[0]);
  Finished finished = end_of(child);
  finished.output = std::move(output);
  return finished;
}

}  // namespace

void run_program(std::vector<std::string> arguments) {
  if (end_of(start(arguments, -1, Complaints::kShown)).status != 0) {
    throw std::runtime_error(fmt::format("{} failed", arguments[0]));
  }
}

Finished run_for_output(std::vector<std::string> arguments, std::optional<std::string_view> input) {
  return run(std::move(arguments), Complaints::kShown, input);
}

std::optional<std::string> output_of(std::vector<std::string> arguments,
                                     std::optional<std::string_view> input) {
  Finished finished = run(std::move(arguments), Complaints::kDropped, input);
  if (finished.status != 0) return std::nullopt;
  return std::move(finished.output);
}

}  // namespace kvbench
