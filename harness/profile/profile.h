// Making an LU-KV profile. policies.md 4.1 to 4.5.
#pragma once

#include "harness/base/progress.h"
#include "harness/config/profile_config.h"
#include "harness/profile/profile_data.h"

namespace kvbench {

// Measures what is missing in the configuration's output file. Groups of contexts are measured
// together (up to 8192 tokens, so a long context is a group of its own) and kept as they come
// (profile_parts.h); the output is written once, at the end. A killed run goes on behind the last
// finished group, and a larger `count` adds to what is there.
// Returns the complete profile. Throws InputError for bad requests before the weights are loaded,
// and when the output or a part is not of this work: nothing else is ever replaced.
ProfileData make_profile(const ProfileConfig& config, const StartProgress& start_progress = {});

}  // namespace kvbench
