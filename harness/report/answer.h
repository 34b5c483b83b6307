// The question that results are made for: which policy, at which budget, and what does it cost?
#pragma once

#include <string>
#include <vector>

#include "harness/report/choices.h"

namespace kvbench {

constexpr const char* kQuestion = "Which policy, at which budget, and what does it cost?";

// Losing at most this many points (of 100) to the full cache counts as losing nothing that matters.
constexpr double kMargin = 5;

// The answer for one block, one paragraph. Recommended is what removes most of the cache among the
// choices whose difference to the full cache has its whole 95 % interval above -kMargin; of several
// the one with the best score, and which of the others at that ratio cannot be told from it sample
// by sample. "cannot tell" where no choice is shown to be that good and not all are shown to lose
// more, and where the full cache itself scores at most kMargin. Without a full cache the paragraph
// names the best policy of each ratio. Every verdict stands beside its evidence: score and
// difference with their intervals (results/intervals.h), bytes, TPOT where it was measured, n.
std::string answer(const Choices& choices);

}  // namespace kvbench
