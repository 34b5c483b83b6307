// What a profile measures on its contexts. policies.md 4.1 to 4.4.
#pragma once

#include <vector>

#include "harness/base/progress.h"
#include "harness/config/profile_config.h"
#include "harness/model/decoder.h"
#include "harness/profile/contexts.h"
#include "harness/profile/profile_data.h"
#include "policies/policy.h"

namespace kvbench {

// How many contexts from `first` on are measured together: few enough for their caches to be small
// beside a long context's. Without regard to the number of contexts, so that a run that was killed
// continues with the same groups.
size_t group_size(const std::vector<ProfileContext>& contexts, size_t first);

struct Measurement {
  ProfileEntry entry;
  std::vector<ScorerCurve> curves;  // [scorers]
};

// Measures contexts [first, first + size), question by question; one prefill a context, and what
// passes scorers ask for behind it. `frame`: what stands around each of them.
std::vector<Measurement> measure(const ProfileConfig& config, const Decoder& model,
                                 const std::vector<Policy>& scorers,
                                 const std::vector<ProfileContext>& contexts,
                                 const ContextFrame& frame, size_t first, size_t size,
                                 const Advance& advance);

}  // namespace kvbench
