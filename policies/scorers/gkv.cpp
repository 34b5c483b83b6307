// G-KV (microsoft/G-KV): a global score that every token carries from cut to cut, joined at each
// cut by the attention of the latest queries. policies.md 6.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

enum class Combine { kMax, kMean, kSum };
enum class GroupReduce { kMax, kMean };

class Gkv : public Scorer {
 public:
  explicit Gkv(Params& p) {
    p.get("window", window_, "latest tokens: their queries vote, they are kept themselves");
    p.choice("combine", combine_,
             {{"max", Combine::kMax}, {"mean", Combine::kMean}, {"sum", Combine::kSum}},
             "max(alpha F, f), alpha F + (1 - alpha) f, or alpha F + f");
    p.get("alpha", alpha_, "weight of the global score F against the new local one f");
    p.choice("group_reduce", group_reduce_,
             {{"max", GroupReduce::kMax}, {"mean", GroupReduce::kMean}},
             "reduction of a query's attention over its GQA group");
    p.get("kernel", kernel_, "width of a max pooling of the ranking, odd; 1 = none, the paper's 5");
    p.get("redundancy", redundancy_, "rank down keys that resemble others (as R-KV does)");
    p.get("mix", mix_, "with redundancy: mix * F - (1 - mix) * similarity");
    p.require_range("window", static_cast<double>(window_), 1, 1 << 20);
    p.require_range("alpha", alpha_, 0, 1);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
    p.require_range("mix", mix_, 0, 1);
  }

  // Local score of the tokens before the window, divided by its maximum over them, per head:
  // f = mean over the window's queries of the group's maximum of A. New tokens begin with f.
  at::Tensor carry(const LayerView& layer, const at::Tensor& before) const override {
    const int64_t n_heads = layer.n_kv_heads(), n_tokens = layer.n_tokens();
    if (n_tokens <= window_) return before;  // the window votes for nothing
    const int64_t window = std::min(window_, layer.queries.size(1));
    const at::Tensor weights =
        window_attention(layer, window).unflatten(0, {n_heads, -1});  // [H, G, window, n]
    const at::Tensor votes =
        (group_reduce_ == GroupReduce::kMax ? weights.amax(1) : weights.mean(1)).mean(1);
    at::Tensor global = votes.narrow(1, 0, n_tokens - window_);
    global = global / global.amax(1, /*keepdim=*/true);
    if (!before.defined()) return global;
    at::Tensor known = global.narrow(1, 0, before.size(1));
    switch (combine_) {
      case Combine::kMax:
        known.copy_(at::max(before * alpha_, known));
        break;
      case Combine::kMean:
        known.copy_(before * alpha_ + known * (1 - alpha_));
        break;
      case Combine::kSum:
        known.add_(before, alpha_);
        break;
    }
    return global;
  }

  at::Tensor rank(const LayerView& layer, const at::Tensor& carried) const override {
    require_tokens(*this, "gkv", layer.n_tokens());
    at::Tensor ranked =
        kernel_ == 1 ? carried
                     : at::max_pool1d(carried.unsqueeze(0), kernel_, 1, kernel_ / 2).squeeze(0);
    if (redundancy_) {
      at::Tensor alike = similarity(layer.keys).narrow(1, 0, ranked.size(1));
      alike = alike / alike.amax(1, /*keepdim=*/true);  // on the scale of F, as the authors' code
      ranked = ranked * mix_ - alike * (1 - mix_);
    }
    at::Tensor scores = at::empty({layer.n_kv_heads(), layer.n_tokens()}, carried.options());
    scores.narrow(1, 0, ranked.size(1)).copy_(ranked);
    raise_window(scores, window_);
    return scores;
  }

  at::Tensor score(const LayerView& layer) const override { return rank(layer, carry(layer, {})); }

  int64_t least_tokens() const override { return window_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = window_};
  }

 private:
  // How much a key resembles the others, [H, T]: softmax over the tokens of the mean of its row in
  // the cosine matrix, the diagonal and each row's last entry above 0.5 set to 0.
  static at::Tensor similarity(const at::Tensor& keys) {
    constexpr int64_t kBlock = 256;  // rows at a time: no T x T matrix
    constexpr double kAlike = 0.5;
    const int64_t n_heads = keys.size(0), n_tokens = keys.size(1);
    const at::Tensor all = keys.to(at::kFloat);
    const at::Tensor unit = all / (all.norm(2, {-1}, /*keepdim=*/true) + 1e-8);
    const at::Tensor column = at::arange(n_tokens, all.options().dtype(at::kLong));
    at::Tensor means = at::empty({n_heads, n_tokens}, all.options());
    for (int64_t first = 0; first < n_tokens; first += kBlock) {
      const int64_t n = std::min(kBlock, n_tokens - first);
      at::Tensor cosines = at::bmm(unit.narrow(1, first, n), unit.transpose(1, 2));  // [H, n, T]
      cosines.narrow(2, first, n).diagonal(0, 1, 2).zero_();
      // Where nothing is alike, entry 0 goes: the maximum of no index is 0 in R-KV's code.
      const at::Tensor last = (cosines.gt(kAlike) * column).amax(-1, /*keepdim=*/true);
      cosines.scatter_(-1, last, 0);
      means.narrow(1, first, n).copy_(cosines.mean(-1));
    }
    return means.softmax(-1);
  }

  int64_t window_ = 8, kernel_ = 1;
  double alpha_ = 0.8, mix_ = 0.1;
  bool redundancy_ = false;
  Combine combine_ = Combine::kMax;
  GroupReduce group_reduce_ = GroupReduce::kMax;
};

KVB_REGISTER_SCORER("gkv", Gkv, "global score carried from cut to cut (G-KV)");

}  // namespace
}  // namespace kvbench
