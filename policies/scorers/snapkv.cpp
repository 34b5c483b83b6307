// SnapKV (Li et al. 2024, arXiv 2404.14469): the attention that the last tokens pay to a token,
// pooled over its neighbours. policies.md 2.5.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

enum class Pooling { kAvg, kMax };
enum class PoolOrder { kPoolFirst, kGroupFirst };
enum class GroupReduce { kMean, kMax, kSum };

class SnapKv : public Scorer {
 public:
  explicit SnapKv(Params& p) {
    p.get("window", window_, "last tokens whose attention votes; they are kept themselves");
    p.get("kernel", kernel_, "width of the pooling over neighbouring tokens, odd");
    p.choice("pooling", pooling_, {{"avg", Pooling::kAvg}, {"max", Pooling::kMax}},
             "pooling of the votes; avg counts the zero padding, max does not");
    p.choice("pool_order", pool_order_,
             {{"pool_first", PoolOrder::kPoolFirst}, {"group_first", PoolOrder::kGroupFirst}},
             "pool each query head before or after reducing its GQA group");
    p.choice("group_reduce", group_reduce_,
             {{"mean", GroupReduce::kMean}, {"max", GroupReduce::kMax}, {"sum", GroupReduce::kSum}},
             "reduction over the query heads of a GQA group");
    p.require_range("window", static_cast<double>(window_), 1, 1 << 20);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
  }

  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
    require_tokens(*this, "snapkv", n_tokens);
    const int64_t window = std::min(window_, layer.queries.size(1));  // fewer only while decoding
    const at::Tensor votes = window_votes(layer, window);             // [Hq, T - window]
    const at::Tensor ranked = pool_order_ == PoolOrder::kPoolFirst ? reduce(pool(votes), n_heads)
                                                                   : pool(reduce(votes, n_heads));
    at::Tensor scores = at::empty({n_heads, n_tokens}, ranked.options());
    scores.narrow(1, 0, n_tokens - window).copy_(ranked);
    raise_window(scores, window_);
    return scores;
  }

  int64_t least_tokens() const override { return window_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = window_};
  }

 private:
  at::Tensor pool(const at::Tensor& votes) const {
    const at::Tensor rows = votes.unsqueeze(0);
    const at::Tensor pooled = pooling_ == Pooling::kAvg
                                  ? at::avg_pool1d(rows, kernel_, 1, kernel_ / 2)
                                  : at::max_pool1d(rows, kernel_, 1, kernel_ / 2);
    return pooled.squeeze(0);
  }

  // [Hq, n] -> [H, n]
  at::Tensor reduce(const at::Tensor& votes, int64_t n_heads) const {
    const at::Tensor grouped = votes.view({n_heads, -1, votes.size(1)});
    switch (group_reduce_) {
      case GroupReduce::kMean:
        return grouped.mean(1);
      case GroupReduce::kMax:
        return grouped.amax(1);
      case GroupReduce::kSum:
        return grouped.sum(1);
    }
    KVB_CHECK(false, "unknown group reduction");
  }

  int64_t window_ = 32, kernel_ = 7;
  Pooling pooling_ = Pooling::kMax;
  PoolOrder pool_order_ = PoolOrder::kPoolFirst;
  GroupReduce group_reduce_ = GroupReduce::kMean;
};

KVB_REGISTER_SCORER("snapkv", SnapKv, "attention of the last tokens, pooled over neighbours");

}  // namespace
}  // namespace kvbench
