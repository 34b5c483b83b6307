// Decoding over several caches as one ragged batch, token by token as the caller says. Greedy
// answers are decode_pool.h's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/cache/decode_batch.h"
#include "harness/engine/eviction.h"
#include "harness/model/decoder.h"

namespace kvbench {

// A compressed context that takes new tokens.
struct GrowingCache {
  KvCache* cache = nullptr;
  at::Tensor context_logits;     // of its last token, float32 [vocab]; read when nothing is asked
  Eviction* eviction = nullptr;  // what evicts meanwhile, if anything does
  bool asked_once = false;       // a pool frees what it holds as soon as its answer is there
};

// The ids that the `running` caches (indices, ascending) say in step 0, 1, ... given their logits,
// float32 [running, vocab]; a cache without an id ends there.
using NextTokens = std::function<std::vector<std::optional<int64_t>>(
    int64_t step, const std::vector<size_t>& running, const at::Tensor& logits)>;

// Runs `question` (may be empty) and then steps until every cache has ended, all that still run as
// one batch, so that the weights are read once a step. The logits of step 0 are those behind the
// question, or behind the context when nothing is asked. errors[i] receives why the eviction of
// cache i failed, which ends it and no other. `observer` is told every pass, queries in the order
// of `running`. Throws what the model and `next` throw; the caches hold then what they held before
// that step.
void decode(const Decoder& model, const std::vector<GrowingCache>& caches,
            const std::vector<int32_t>& question, const NextTokens& next,
            std::vector<std::string>& errors, const Decoder::StepObserver& observer = {});

// One forward pass of tokens int64 [S, m] or [1, m] over caches that are a batch already, and what
// their evictions then cut. Returns the logits as Decoder::extend. errors[s] receives what went
// wrong in the eviction of sequence s, if anything did.
at::Tensor extend_and_evict(const Decoder& model, const at::Tensor& tokens, DecodeBatch& batch,
                            const std::vector<GrowingCache>& caches,
                            std::vector<std::string>& errors,
                            const Decoder::StepObserver& observer = {});

// A forward pass over a batch, given whom it tells of its queries, if anybody; and what the caches'
// evictions then cut. errors as above.
using Pass = std::function<at::Tensor(const Decoder::StepObserver&)>;
at::Tensor pass_and_evict(const Pass& pass, DecodeBatch& batch,
                          const std::vector<GrowingCache>& caches, std::vector<std::string>& errors,
                          const Decoder::StepObserver& observer = {});

}  // namespace kvbench
