// SnapKV (Li et al. 2024, arXiv 2404.14469): the attention that the last tokens pay to a token,
// pooled over its neighbours. policies.md 2.5.
#include <ATen/ATen.h>

#include "kernels/window_scores/window_scores_torch.h"
#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class SnapKv : public Scorer {
 public:
  explicit SnapKv(Params& p) {
    p.get("window", window_, "last tokens whose attention votes; they are kept themselves");
    p.get("kernel", kernel_, "width of the pooling over neighbouring tokens, odd");
    p.choice("pooling", pooling_, {{"avg", "avg"}, {"max", "max"}},
             "pooling of the votes; avg counts the zero padding, max does not");
    p.choice("pool_order", pool_order_,
             {{"pool_first", "pool_first"}, {"group_first", "group_first"}},
             "pool each query head before or after reducing its GQA group");
    p.choice("group_reduce", group_reduce_, {{"mean", "mean"}, {"max", "max"}, {"sum", "sum"}},
             "reduction over the query heads of a GQA group");
    p.require_range("window", static_cast<double>(window_), 1, 1 << 20);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
  }

  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens();
    require_tokens(*this, "snapkv", n_tokens);
    const int64_t window = std::min(window_, layer.queries.size(1));  // fewer only while decoding
    const at::Tensor ranked =
        window_scores(latest_queries(layer, window), layer.keys, layer.attention_scale, pooling_,
                      kernel_, pool_order_, group_reduce_);
    return with_raised_window(ranked, n_tokens, window_);
  }

  int64_t least_tokens() const override { return window_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = window_};
  }

 private:
  int64_t window_ = 32, kernel_ = 7;
  std::string pooling_ = "max", pool_order_ = "pool_first",
              group_reduce_ = "mean";  // of the operator
};

KVB_REGISTER_SCORER("snapkv", SnapKv, "attention of the last tokens, pooled over neighbours");

}  // namespace
}  // namespace kvbench
