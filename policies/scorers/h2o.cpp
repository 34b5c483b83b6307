// H2O (Zhang et al. 2023, arXiv 2306.14048): heavy hitters, the tokens that gathered the most
// attention, and the latest ones. policies.md 2.6. One shot at the end of prefill as in
// KVCache-Factory, or going on while the model decodes as in the paper.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class H2o : public Scorer {
 public:
  explicit H2o(Params& p) {
    p.get("recent", recent_, "last tokens that are always kept");
    p.require_range("recent", static_cast<double>(recent_), 0, 1 << 20);
  }

  // s_j = group mean of the sum over i >= j of A[q, i, j], queries of the recent tokens included.
  // Not divided by the number of queries that see j, so old tokens rank high.
  at::Tensor carry(const LayerView& layer, const at::Tensor& before) const override {
    at::Tensor sums = attention_column_sums(layer);
    if (before.defined()) sums.narrow(1, 0, before.size(1)).add_(before);
    return sums;
  }

  at::Tensor rank(const LayerView& layer, const at::Tensor& carried) const override {
    require_tokens(*this, "h2o", layer.n_tokens());
    at::Tensor scores = carried.clone();
    raise_window(scores, recent_);
    return scores;
  }

  at::Tensor score(const LayerView& layer) const override { return rank(layer, carry(layer, {})); }

  int64_t least_tokens() const override { return recent_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.every_step = true};
  }

 private:
  int64_t recent_ = 8;
};

KVB_REGISTER_SCORER("h2o", H2o, "attention summed over all queries (heavy hitters)");

}  // namespace
}  // namespace kvbench
