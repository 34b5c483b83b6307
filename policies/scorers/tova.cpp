// TOVA (Oren et al. 2024, arXiv 2401.06104): the attention that the last token pays. policies.md
// 2.7; kvpress 0.5.5, TOVAPress. The paper evicts at every decode step; this is the cut after
// prefill.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

class Tova : public Scorer {
 public:
  explicit Tova(Params& p) {
    p.get("per_head", per_head_,
          "mean over the GQA group only; false: over all query heads, one score for the layer");
  }

  // s_j = mean over q of A[q, T - 1, j]. The last token itself is kept, unlike in the paper.
  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
    if (n_tokens < 2) throw_input_error("tova: a context of {} tokens is too short", n_tokens);
    const at::Tensor votes = window_votes(layer, 1);  // [Hq, T - 1]
    const at::Tensor means =
        per_head_ ? votes.view({n_heads, -1, n_tokens - 1}).mean(1) : votes.mean(0, true);
    at::Tensor scores = at::empty({n_heads, n_tokens}, means.options());
    scores.narrow(1, 0, n_tokens - 1).copy_(means.expand({n_heads, n_tokens - 1}));
    raise_window(scores, 1);
    return scores;
  }

 private:
  bool per_head_ = false;
};

KVB_REGISTER_SCORER("tova", Tova, "attention of the last token");

}  // namespace
}  // namespace kvbench
