#include "harness/base/process.h"

#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/error.h"

namespace kvbench {

void run_program(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) {
    throw std::runtime_error(fmt::format("{} failed", arguments[0]));
  }
}

}  // namespace kvbench
