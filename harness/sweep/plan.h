// What a run works through: samples, the cells that each of them serves, and this shard's part.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/config/sweep_config.h"
#include "harness/model/model_config.h"
#include "harness/model/prompt.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/shard.h"
#include "policies/policy.h"

namespace kvbench {

struct SweepPlan {
  struct Group {
    SampleGroup samples;
    std::vector<SweepCell> cells;
    std::vector<std::vector<int64_t>> contexts = {};  // this shard's: samples that may share one
    std::vector<int64_t> shards_of = {};              // which shard makes each sample
    int64_t n_samples = 0;                            // this shard's
  };
  std::vector<Group> groups;

  std::vector<SampleGroup> sample_groups() const;
  std::string text() const;  // the cells, one a line
};

// Opens the data and gives every context to a shard; the groups keep those of `shard`. Throws
// InputError for whatever is wrong with data, windows, lengths, and for more shards than contexts.
// `identity` is that of the run (identity_text()); policies, format and model must outlive the
// plan.
SweepPlan make_plan(const SweepConfig& config, const std::vector<Policy>& policies,
                    const PromptFormat& format, const ModelConfig& model,
                    const std::string& identity, const Shard& shard);

}  // namespace kvbench
