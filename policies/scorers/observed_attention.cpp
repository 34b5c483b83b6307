// Observed attention: the mean attention a token got from the queries that could see it.
// policies.md 2.6; kvpress 0.5.5, ObservedAttentionPress.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class ObservedAttention : public Scorer {
 public:
  explicit ObservedAttention(Params&) {}

  // s_j = group mean of (sum over i >= j of A[q, i, j]) / (T - j). Nothing is protected; few
  // queries see the latest tokens, each with much attention, so these rank high.
  at::Tensor score(const LayerView& layer) const override {
    const at::Tensor sums = attention_column_sums(layer);
    return sums / at::arange(layer.n_tokens(), 0, -1, sums.options());
  }
};

KVB_REGISTER_SCORER("observed_attention", ObservedAttention,
                    "mean attention from all queries that see a token");

}  // namespace
}  // namespace kvbench
