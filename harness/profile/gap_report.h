// The gap report of a profile: what its budgets lose, and which step loses it. policies.md 4.7.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "harness/profile/profile_data.h"
#include "harness/report/grid.h"

namespace kvbench {

// Mean losses over the entries of `data` at 10, 20, ... 90 %, [scorers][ratios], as shares of the
// importance of all unprotected tokens. J6 is the run-time budget of the averaged table of the
// scorer of the same name in `budgets`: `data` itself, or a profile of other text. Beside it stands
// what lukv_curves and lukv_online (with its default trust) make of that profile. J5 is exact where
// its dynamic programme takes seconds, elsewhere nan. Throws InputError when `data` holds no
// losses, or `budgets` no such scorer or another model.
std::vector<std::vector<GapLosses>> measure_gaps(const ProfileData& data,
                                                 const ProfileData& budgets, double min_keep);

// A row a ratio: the losses in percent, the regret J6 - J1 taken apart, and the gains of allocation
// and ranking.
Grid gap_table(const std::string& title, const std::vector<GapLosses>& gap);

// What `report` says of a profile: for each scorer the gap, if it has been measured, and the share
// that the heads of each layer keep at 50, 80 and 90 %.
std::vector<Grid> profile_tables(const ProfileData& data);

// The same of several profiles (file, content) for programs: a line per scorer, ratio, layer (empty
// in the gap report, which is about all of them) and measure, a share of importance or of entries.
Grid profile_data_grid(const std::vector<std::pair<std::string, ProfileData>>& profiles);

}  // namespace kvbench
