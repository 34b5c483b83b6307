#include "policies/eviction_rule.h"

namespace kvbench {

EvictionRule::EvictionRule(Params& p) {
  p.choice("when", when,
           {{"overflow", When::kOverflow},
            {"interval", When::kInterval},
            {"grid", When::kGrid},
            {"held", When::kHeld},
            {"seen", When::kSeen}},
           "cut a head above its budget at once, or every `interval` tokens; with an absolute "
           "budget, which the prefill is then cut to as well, if at all: every `interval` passes "
           "from the prefill on (grid), when it holds a multiple of `interval` tokens, or in the "
           "pass after that many were seen");
  p.get("interval", interval, "tokens or passes between cuts");
  p.get("budget", budget, "tokens a head keeps; 0 = what the prefill's cut left it");
  p.get("share", share, "with grid, held and seen: of all tokens seen, once that is more");
  p.require_range("interval", static_cast<double>(interval), 1, 1 << 20);
  p.require_range("budget", static_cast<double>(budget), 0, 1 << 30);
  p.require_range("share", share, 0, 1);
  p.require(!cuts_prefill() || budget > 0, "when",
            "expected a budget of 1 token a head or more beside it: this rule knows no ratio");
  p.require(cuts_prefill() || share == 0, "share", "expected 0 but with grid, held and seen");
}

bool EvictionRule::is_due(const Passes& passes, int64_t n_held, int64_t n_budget) const {
  switch (when) {
    case When::kOverflow:
      return n_held > n_budget;
    case When::kInterval:
      return n_held > n_budget && passes.since_cut >= interval;
    case When::kGrid:
      return n_held > n_budget && passes.n_forwards % interval == 0;
    case When::kHeld:
      return n_held > n_budget && passes.n_forwards > 0 && n_held % interval == 0;
    case When::kSeen:
      return n_held >= n_budget &&
             (passes.n_forwards == 0 || (passes.n_seen - passes.n_new) % interval == 0);
  }
  return false;
}

int64_t EvictionRule::budget_of(int64_t n_seen, int64_t n_left) const {
  if (budget == 0) return n_left;
  const auto seen = static_cast<double>(n_seen);
  return static_cast<double>(budget) / seen < share ? static_cast<int64_t>(seen * share) : budget;
}

}  // namespace kvbench
