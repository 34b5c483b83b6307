// Running another program (set-up, plots, git) and waiting for it. Arguments are passed as they
// are: no shell reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench {

// Runs arguments[0] (a path) with the rest; it shares our streams. Throws std::runtime_error naming
// the program when it cannot be started or does not exit with status 0.
void run_program(std::vector<std::string> arguments);

// How a program ended, and what it printed.
struct Finished {
  int status = 0;  // its exit status; -1 when it could not be started or a signal ended it
  std::string output;
  int signal = 0;  // the one that ended it; 0 = none did
};

// Runs arguments[0] (a path, or a name that PATH finds) with the rest and keeps what it prints on
// stdout; it shares our stderr. It reads `input`, or our stdin when there is none.
Finished run_for_output(std::vector<std::string> arguments,
                        std::optional<std::string_view> input = std::nullopt);

// What arguments[0] (a path, or a name that PATH finds) prints; its complaints are dropped. nullopt
// when it cannot be started or does not exit with status 0. It reads `input`, or our stdin when
// there is none.
std::optional<std::string> output_of(std::vector<std::string> arguments,
                                     std::optional<std::string_view> input = std::nullopt);

}  // namespace kvbench
