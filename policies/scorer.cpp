#include "policies/scorer.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace kvbench {

at::Tensor Scorer::score_for_counts(const LayerView& /*layer*/, const at::Tensor& scores,
                                    const std::vector<int64_t>& /*counts*/) const {
  return scores;
}

void protect(at::Tensor& scores, int64_t sink, int64_t recent) {
  const int64_t n_tokens = scores.size(1);
  const at::Tensor top = scores.max() + 1;
  const int64_t first = std::min(sink, n_tokens), last = std::min(recent, n_tokens);
  scores.narrow(1, 0, first).copy_(top.expand({scores.size(0), first}));
  scores.narrow(1, n_tokens - last, last).copy_(top.expand({scores.size(0), last}));
}

}  // namespace kvbench
