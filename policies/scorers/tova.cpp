// TOVA (Oren et al. 2024, arXiv 2401.06104): the attention that the last token pays. policies.md
// 2.7; kvpress 0.5.5, TOVAPress.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class Tova : public Scorer {
 public:
  explicit Tova(Params& p) {
    p.get("per_head", per_head_,
          "mean over the GQA group only; false: over all query heads, one score for the layer");
    p.get("keep_last", keep_last_,
          "the last token is kept whatever it pays to itself; false as in the paper");
  }

  // s_j = mean over q of A[q, T - 1, j].
  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
    require_tokens(*this, "tova", n_tokens);
    const at::Tensor votes = last_attention(layer);  // [Hq, T]
    const at::Tensor means =
        per_head_ ? votes.view({n_heads, -1, n_tokens}).mean(1) : votes.mean(0, true);
    at::Tensor scores = means.expand({n_heads, n_tokens}).contiguous();
    if (keep_last_) raise_window(scores, 1);
    return scores;
  }

  int64_t least_tokens() const override { return 2; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = 1, .same_tokens = !per_head_};
  }

 private:
  bool per_head_ = false, keep_last_ = true;
};

KVB_REGISTER_SCORER("tova", Tova, "attention of the last token");

}  // namespace
}  // namespace kvbench
