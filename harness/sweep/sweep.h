// A sweep from configuration to results file.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/base/progress.h"
#include "harness/config/sweep_config.h"
#include "harness/sweep/shard.h"

namespace kvbench {

struct SweepOptions {
  bool fresh = false;        // move an existing results file aside and start anew
  bool keep_failed = false;  // rows that failed before are not tried again
  bool dry_run = false;      // check everything, say what would run, write nothing
  bool calibrate = false;    // with dry_run: time a piece of it on the real model
  Shard shard = {};          // the part of the sweep that is run, in a file of its own
  // Asked before each context and each measurement; true: end here, in order. Empty = no.
  std::function<bool()> stop = {};
  StartProgress start_progress = {};
};

struct SweepResult {
  std::filesystem::path file;
  std::string plan;                // of a dry run: the cells, one a line, and what they cost
  std::vector<std::string> notes;  // what a user should know of what was asked
  bool stopped = false;            // before all was done: the same request goes on
};

// Runs what is not in the results file yet. Everything that can be wrong with the request is found
// before the weights are loaded: settings, policies, data, lengths, output. What fails afterwards
// is an error row of the file.
SweepResult run_sweep(const SweepConfig& config, const SweepOptions& options);

}  // namespace kvbench
