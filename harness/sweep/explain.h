// One sample of a sweep laid open: why it scored what it scored.
#pragma once

#include <optional>
#include <string>

#include "harness/config/sweep_config.h"

namespace kvbench {

struct ExplainOptions {
  std::string task;               // a task of the sweep
  int64_t sample = 0;             // its sample_id
  std::filesystem::path results;  // a results file; empty: the sweep's output, if it is there
  std::string policy;  // name in the sweep; empty = all stored answers, and no cut is shown
  std::optional<double> ratio;  // of that policy; empty = all
};

// A text: the prompt piece by piece with token ids, what ends the answer, references and metric;
// every stored answer with what each reference brought; and, with a policy and a ratio, how much of
// the context and of each reference in it the policy keeps, for which the model is loaded. Throws
// InputError for a task, sample or policy that the sweep does not have.
std::string explain(const SweepConfig& config, const ExplainOptions& options);

}  // namespace kvbench
