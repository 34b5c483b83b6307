// A sweep from configuration to results file.
#pragma once

#include <filesystem>
#include <string>

#include "harness/config/sweep_config.h"

namespace kvbench {

struct SweepOptions {
  bool fresh = false;    // move an existing results file aside and start anew
  bool dry_run = false;  // check everything, print the cells, run nothing
};

// Runs what is not in the results file yet and returns the file. Everything that can be wrong with
// the request is found before the weights are loaded: settings, policies, data, lengths, output.
std::filesystem::path run_sweep(const SweepConfig& config, const SweepOptions& options);

}  // namespace kvbench
