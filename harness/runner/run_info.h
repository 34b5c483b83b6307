// What a results file records about the run: model, data, machine, versions.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/config/sweep_config.h"
#include "harness/results/run_info.h"

namespace kvbench {

// Everything but the data hashes, which the samples give.
RunInfo describe_run(const SweepConfig& config, c10::Device device, at::ScalarType dtype);

// The commit of the source tree, "-dirty" when it was edited since; "unknown" outside git.
std::string git_commit();

// "library version", one a line.
std::string library_versions();

}  // namespace kvbench
