// When the cache is cut while tokens keep coming, to how many per head, and by which scores.
#pragma once

#include <cstdint>
#include <string>

#include "harness/base/params.h"

namespace kvbench {

class Scorer;

// What has passed through the model when a pass ends.
struct Passes {
  int64_t n_forwards = 0;  // before this one: 0 = this is the prefill
  int64_t n_seen = 0;      // tokens, this pass's included
  int64_t n_new = 0;       // this pass's own
  int64_t since_cut = 0;   // tokens since the last cut, or the prefill
};

struct EvictionRule {
  enum class When {
    kOverflow,  // after every pass
    kInterval,  // after every pass that makes it `interval` tokens or more since the last cut
    // Of the methods with a fixed number of entries; whether the prefill is cut is theirs to say.
    kGrid,  // after forward passes number 0 (the prefill), interval, 2 interval, ... (G-KV)
    kHeld,  // after a decoding pass that leaves a multiple of `interval` tokens in a head (VaSE)
    kSeen,  // after the prefill, and after the pass that follows the one which brought the tokens
            // seen to a multiple of `interval`; also at the budget, not only above it (R-KV)
  };

  EvictionRule() = default;
  explicit EvictionRule(Params& p);

  // The prefill is cut by this rule, or not at all, and not to a share of the context.
  bool cuts_prefill() const { return when >= When::kGrid; }

  // Whether a head that holds n_held tokens, and may hold n_budget, is due for a cut after a pass.
  bool is_due(const Passes& passes, int64_t n_held, int64_t n_budget) const;

  // Tokens that a head may hold once n_seen have been seen, where the prefill left it n_left.
  int64_t budget_of(int64_t n_seen, int64_t n_left) const;

  When when = When::kOverflow;
  int64_t interval = 1;
  int64_t budget = 0;   // tokens kept per head; 0 = as many as the prefill's cut left it
  double share = 0;     // ... or this share of all tokens seen, rounded down, once that is more
  bool shared = false;  // the budgets of all heads of all layers together, for the best tokens
  const Scorer* scorer = nullptr;
  std::string scorer_label;
};

}  // namespace kvbench
