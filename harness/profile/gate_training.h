// Gates trained on what a scorer says, for any model (harness/toolchain/train_gate.py descends).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "harness/base/progress.h"
#include "harness/config/gate_config.h"

namespace kvbench {

// The tokens of a context that gates are trained and judged on: the others, the scorer `gate` keeps
// anyway.
struct Trained {
  int64_t first = 0, count = 0;
};
inline Trained trained_tokens(int64_t n_tokens) {
  constexpr int64_t kSinks = 4;
  return {kSinks, n_tokens - kSinks - std::max<int64_t>(1, n_tokens / 50)};
}

struct TrainedGates {
  int64_t n_layers = 0, n_contexts = 0;  // trained on
  std::string target;                    // the scorer's name and parameters in effect
  // On the held-out contexts: Spearman's rank correlation with the target within a KV head, mean of
  // all heads and of the worst layer's, and how much of the target's best fifth of all entries of a
  // context is in that of the gates.
  double spearman = 0, worst_layer = 0, shared_fifth = 0;
};

// Writes config.output, a file that the scorer `gate` reads, as float16. The same for the same
// configuration, on any number of threads as far as the target is. Bad input is an InputError
// before the model is loaded. Training data lie in a folder beside the output and are removed.
TrainedGates train_gates(const GateConfig& config, const StartProgress& start_progress);

}  // namespace kvbench
