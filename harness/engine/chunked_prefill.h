// Prefill in chunks, the cache cut after each of them: what is held never exceeds the budget and
// one chunk, but later tokens see only what was kept (KeyDiff's own setting, policies.md 2.4).
#pragma once

#include <vector>

#include "harness/engine/compress.h"

namespace kvbench {

// The cache that one policy with chunk() > 0 leaves of a context. Budgets are those of the whole
// context. The first chunk has full attention; each later one attends over what is held and itself.
// Whatever is thrown is the result's `error`, and nothing else of it is left. Scores are not told
// to options.on_scores: no pass ranks all tokens.
CompressedCache prefill_in_chunks(const Decoder& model, const std::vector<int32_t>& context,
                                  const PolicyAtRatio& asked, const CompressOptions& options);

}  // namespace kvbench
