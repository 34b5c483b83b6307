// What every policy must hold to, checked on a small model in seconds.
#pragma once

#include <string>
#include <vector>

#include "harness/model/decoder.h"
#include "policies/policy.h"

namespace kvbench {

struct InvariantResult {
  std::string name;    // "budget met"
  std::string detail;  // what was measured, or what went wrong
  bool holds = false;
};

// Runs the policy on generated contexts: budget met, protected tokens kept, kept are the
// top-scored, ratio 0 equals the full cache to the bit, no state leaks between samples, not a
// no-op, generates tokens. An exception of the policy is a result that does not hold, never thrown.
std::vector<InvariantResult> check_invariants(const Decoder& model, const Policy& policy);

}  // namespace kvbench
