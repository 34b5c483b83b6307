// What a user chooses between: each policy at each ratio, with what it reaches and what it costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/report/blocks.h"
#include "harness/results/intervals.h"

namespace kvbench {

// One policy at one ratio, all tasks of a block together, each weighing the same. nan where a thing
// was not measured or cannot be told; scores are nan unless every task is there.
struct Choice {
  std::string policy;
  double ratio = NAN;    // as asked for; nan: the policy has a budget of its own
  double removed = NAN;  // the ratio, or of such a policy what it really removed
  Interval score{NAN, NAN, NAN};
  Interval difference{NAN, NAN, NAN};  // to the full cache, sample by sample (summary.h)
  double kept_ratio = NAN, kv_bytes = NAN;
  int64_t n = 0, n_contexts = 0, n_errors = 0;  // sums over the tasks
  // Medians of the isolated measurements of this policy, ratio, model and dtype at the context
  // length nearest to the block's (the longer one of two).
  double tpot_ms = NAN, ttft_ms = NAN;
  int64_t latency_tokens = 0;  // that length; 0 = not measured
};

struct Choices {
  const Block* block;
  std::optional<Choice> full;
  std::vector<Choice> policies;  // all others, in the order of the cells
};

// One a block. Every figure is taken from the report's tables, none is computed anew.
std::vector<Choices> choices_of(const Joined& joined, const std::vector<Block>& blocks);

// Those whose score is known: what removes most comes first, of that the best score, then the order
// in `choices`.
std::vector<const Choice*> by_budget(const std::vector<Choice>& choices);

}  // namespace kvbench
