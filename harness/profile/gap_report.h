// The gap report of a profile: what its budgets lose, and which step loses it. policies.md 4.7.
#pragma once

#include <vector>

#include "harness/profile/profile_data.h"
#include "harness/results/grid.h"

namespace kvbench {

// A table for each scorer, a row a ratio (10 to 90 %): J0 to J6, means over the entries in
// percent of the importance of all unprotected tokens, and the regret J6 - J1 taken apart. J6 is
// the run-time budget of the averaged table. J5 is exact where its dynamic programme takes seconds;
// elsewhere it and what needs it are "-". The profile must hold losses (InputError).
std::vector<Grid> gap_report(const ProfileData& data, double min_keep);

}  // namespace kvbench
