// Decoding over several caches as one ragged batch: the one loop over steps, and the greedy answer
// to a question.
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

struct Generation {
  std::vector<int32_t> tokens;  // the end token included when one was met
  std::string error;            // why it ended before its time, behind `tokens`; empty = it did not
  // The error is one of a pass of several caches together (out of memory), perhaps not of this one:
  // with the context as it was (rewound, or another copy where it evicts) ask it again alone.
  bool retry_alone = false;
  // When each token was there, from the start of the question on, the others of the batch beside
  // it.
  std::vector<double> token_ms;
  Attended attended;  // by the passes of the question and of what was said
};

struct GenerateOptions {
  int64_t max_new_tokens = 0;
  std::vector<int64_t> end_tokens;  // empty = never stop early
  // An end token stops a sequence that has said this many tokens before it. 1 is kvpress's rule
  // (ruler.md 7), 0 that of the benchmarks' own code.
  int64_t min_new_tokens = 1;
  // Before that an end token is not chosen at all (transformers' min_new_tokens); else it is said.
  bool exclude_early_ends = false;
};

// The greedy answer of every cache (most_likely()). A NaN among a sequence's logits and a failing
// eviction end that sequence with an error; so does an exception of the model for all that still
// run. Only InputError is thrown: the question does not fit the model.
std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options);

}  // namespace kvbench
