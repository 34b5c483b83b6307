// Gates trained on what a scorer says, for any model (harness/toolchain/train_gate.py descends),
// and attention gates trained through a Llama model (train_attention_gate.py).
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
  std::string target;  // the scorer's name and parameters in effect, or "the full cache"
  // What the held-out contexts say, in words. Of gates with a target: Spearman's rank correlation
  // with it within a KV head, mean of all heads and of the worst layer's, and how much of the
  // target's best fifth of all entries of a context is in that of the gates. Of attention gates:
  // what the answers cost in the engine with the full cache and with what they keep.
  std::string judged;
};

// Writes config.output, a file that the scorer `gate` or `attention_gate` reads, as float16. The
// same for the same configuration, on any number of threads as far as the target is; attention
// gates only on the same number. Bad input is an InputError before the model is loaded. Training
// data lie in a folder beside the output and are removed.
TrainedGates train_gates(const GateConfig& config, const StartProgress& start_progress);

}  // namespace kvbench
