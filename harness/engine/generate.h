// The answer to a question.
#pragma once

#include <string>
#include <vector>

#include "harness/engine/decode.h"
#include "harness/model/decoder.h"
#include "tasks/protocol.h"

namespace kvbench {

struct Generation {
  std::vector<int32_t> tokens;  // the end token included when one was met
  std::string error;            // why it ended before its time, behind `tokens`; empty = it did not
  // When the host knew each token, from the start of the question on, the others of the batch
  // beside it.
  std::vector<double> token_ms;
  Attended attended;     // by the passes of the question and of what was said
  int64_t kv_bytes = 0;  // of the cache's entries in use at the end
};

struct GenerateOptions {
  int64_t max_new_tokens = 0;
  std::vector<int64_t> end_tokens = {};  // empty = never stop early
  // An end token stops a sequence that has said this many tokens before it. 1 is kvpress's rule
  // (ruler.md 7), 0 that of the benchmarks' own code.
  int64_t min_new_tokens = 1;
  // Before that an end token is not chosen at all (transformers' min_new_tokens); else it is said.
  bool exclude_early_ends = false;
  Sampling sampling = {};  // drawn by the host, which a device waits for in every step
  uint64_t seed = 0;       // of what is drawn, with the number of the token
  // Steps after which the host asks a device what was said; until then sequences that have ended
  // go on unheard. 0: every step on a CPU, where it costs nothing, else every eighth.
  int64_t look_every = 0;
};

// The answer of every cache, greedy (most_likely()) or drawn (sample_token()), all in one batch
// (decode_pool.h). A NaN among a sequence's logits and a failing eviction end that sequence with an
// error; so does an exception of the model, once the sequence is alone. Only InputError is thrown:
// the question does not fit the model.
std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options);

}  // namespace kvbench
