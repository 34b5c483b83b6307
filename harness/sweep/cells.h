// A sweep spelt out: which samples, and which (policy, ratio) cells each of them serves.
#pragma once

#include <string>
#include <vector>

#include "harness/config/sweep_config.h"
#include "harness/model/prompt.h"
#include "harness/results/rows.h"
#include "policies/policy.h"
#include "tasks/task.h"

namespace kvbench {

// A sample as token ids, both pieces as the model sees them.
struct PromptSample {
  Sample sample;
  std::vector<int32_t> context, question;
};

// The samples of one task request under one compress mode: one prefill each serves all cells.
struct SampleGroup {
  TaskRequest request;
  std::string compress;  // context, prompt
  std::string metric;
  std::string data_hash;
  std::vector<PromptSample> samples;
};

// One policy at one ratio over one group.
struct SweepCell {
  Cell row;
  const Policy* policy = nullptr;
  double ratio = 0;
};

// Reads or generates the samples of every group and tokenises them. With compress: prompt the
// question belongs to the context that is cut. Throws InputError for missing or bad data, and when
// a prompt with its answer is longer than the model's positions.
std::vector<SampleGroup> load_groups(const SweepConfig& config, const PromptFormat& format,
                                     const ModelConfig& model);

// The cells of a group in configuration order; the full cache once, whatever the ratios. A cell's
// id is a hash of everything that decides its predictions: model, precision, prompt format, data,
// policy parameters, ratio. `identity` holds what is the same for all groups.
std::vector<SweepCell> cells_of(const SampleGroup& group, const std::vector<Policy>& policies,
                                const std::vector<double>& ratios, const std::string& identity);

}  // namespace kvbench
