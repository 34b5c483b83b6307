// Runs damaged files through a target in a child process and says what went wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/fuzz/target.h"

namespace kvbench::fuzz {

struct Options {
  uint64_t seed = 42;
  int64_t inputs = 1500;
  double seconds = 0;                 // when not 0: for so long, whatever the number of inputs
  double cpu_seconds_of_input = 5;    // more is a failure
  int64_t memory = int64_t{1} << 30;  // bytes beyond what the process had at the start; more is one
};

struct Failure {
  int64_t input;     // its number: with the seed it makes the file again
  std::string what;  // of the first such input
};

struct Summary {
  int64_t inputs = 0, read = 0, refused = 0, failed = 0;
  // Crashes and endless loops within libhdf5, which damaged files bring to its limits: not ours.
  int64_t library_crashes = 0;
  std::vector<Failure> failures;  // all different but for numbers; at most kMostFailures
};

// A run stops after so many different failures.
inline constexpr size_t kMostFailures = 20;

// Throws std::runtime_error when a good file is refused: the target would test nothing.
Summary run(const Target& target, const Options& options);

// Makes one input again and reads it in this process, for a debugger. Returns the folder, which is
// kept; an exception of the reader passes.
std::filesystem::path make_input(const Target& target, uint64_t seed, int64_t input);

}  // namespace kvbench::fuzz
