// What a results file records about the run: model, data, machine, versions.
#pragma once

#include "harness/config/sweep_config.h"
#include "harness/model/open_model.h"
#include "harness/results/run_info.h"

namespace kvbench {

// Everything but the data hashes, which the samples give.
RunInfo describe_run(const SweepConfig& config, const OpenModel& model);

}  // namespace kvbench
