// How far a cut cache moves the model's next-token distributions: finer than accuracy.
#pragma once

#include <vector>

#include "harness/engine/decode.h"
#include "harness/model/decoder.h"

namespace kvbench {

struct Fidelity {
  double kl = 0;    // mean KL(full || cut) over the steps, nats
  double top1 = 0;  // share of steps whose most likely token is the full cache's
};

// Log-probabilities of every next token, float32 [n, vocab], when `continuation` (n >= 1 tokens) is
// said after `question` whatever the model would say itself. The cache and its eviction, if it has
// one, are as before afterwards. With an empty question the first row is the context's logits.
// Throws what the eviction throws.
at::Tensor forced_log_probs(const Decoder& model, const GrowingCache& cut,
                            const std::vector<int32_t>& question,
                            const std::vector<int32_t>& continuation);

// Mean negative log-likelihood, nats a token, of a `continuation` (n >= 1 tokens) of `question`
// over a cache that nothing is evicted from; it is as before afterwards. Block by block: logits of
// all tokens at once would be large.
double mean_nll(const Decoder& model, const GrowingCache& full,
                const std::vector<int32_t>& question, const std::vector<int32_t>& continuation);

Fidelity compare(const at::Tensor& full_log_probs, const at::Tensor& cut_log_probs);

}  // namespace kvbench
