// Making an LU-KV profile. policies.md 4.1 to 4.5.
#pragma once

#include "harness/base/progress.h"
#include "harness/config/profile_config.h"
#include "harness/profile/profile_data.h"

namespace kvbench {

// Measures what is missing in the configuration's output file. It grows by groups of contexts that
// are measured together (up to 8192 tokens, so a long context is a group of its own): a killed run
// goes on behind the last finished group, and a larger `count` adds to what is there.
// Returns the complete profile. Throws InputError for bad requests before the weights are loaded,
// and when the file holds something else.
ProfileData make_profile(const ProfileConfig& config, const StartProgress& start_progress = {});

}  // namespace kvbench
