// Running another program of the project (set-up, plots) and waiting for it.
#pragma once

#include <string>
#include <vector>

namespace kvbench {

// Runs arguments[0] (a path) with the rest; it shares our streams. Throws std::runtime_error naming
// the program when it cannot be started or does not exit with status 0.
void run_program(std::vector<std::string> arguments);

}  // namespace kvbench
