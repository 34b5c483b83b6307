// Greedy decoding of one question over several caches of the same context.
#pragma once

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

struct Generation {
  std::vector<int32_t> tokens;  // the end token included when one was met
  std::string error;            // why its eviction failed; the answer ends there
  // When each token was there, from the start of the question on, the others of the batch beside
  // it.
  std::vector<double> token_ms;
};

struct GenerateOptions {
  int64_t max_new_tokens = 0;
  std::vector<int64_t> end_tokens;  // empty = never stop early
};

// Runs `question` (may be empty) and then greedy steps, all caches as one ragged batch, so that the
// weights are read once a step; a sequence leaves the batch as it ends. With an empty question the
// first token comes from the context's logits. An end token stops a sequence, but not as its first
// token (kvpress's rule, ruler.md 7). Ties of the argmax go to the lower id.
std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options);

// One forward pass of tokens int64 [S, m] over caches that are a batch already, and what their
// evictions then cut. Returns the logits as Decoder::extend. errors[s] receives what went wrong in
// the eviction of sequence s, if anything did.
at::Tensor extend_and_evict(const Decoder& model, const at::Tensor& tokens, DecodeBatch& batch,
                            const std::vector<GrowingCache>& caches,
                            std::vector<std::string>& errors);

}  // namespace kvbench
