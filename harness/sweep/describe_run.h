// What a results file records about the run: model, data, machine, versions.
#pragma once

#include <string>
#include <vector>

#include "harness/base/progress.h"
#include "harness/config/sweep_config.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/results/run_info.h"
#include "harness/sweep/cells.h"
#include "policies/policy.h"

namespace kvbench {

// Everything but the data, which the samples tell. `start_progress` is told of hashing large files.
RunInfo describe_run(const SweepConfig& config, const OpenModel& model, const PromptFormat& format,
                     const std::vector<Policy>& policies, const StartProgress& start_progress);

// "TASK/SOURCE/COMPRESS SAMPLES HASH": a line of RunInfo::data_hashes.
std::string data_line(const SampleGroup& group);

}  // namespace kvbench
