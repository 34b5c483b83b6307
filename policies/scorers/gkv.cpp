// G-KV (microsoft/G-KV@6db3b2e): a global score that every token carries from cut to cut, joined at
// each cut by the attention of the latest queries, less the redundancy of its key. The defaults are
// the published recipe (scripts/inference.sh); its R-KV, SnapKV and H2O modes are parameters.
#include <ATen/ATen.h>

#include "kernels/attention_column_sums/attention_column_sums_torch.h"
#include "policies/attention_sums.h"
#include "policies/key_redundancy.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

enum class Combine { kMax, kMean, kSum };

class Gkv : public Scorer {
 public:
  explicit Gkv(Params& p) {
    p.get("window", window_, "latest tokens: their queries vote, they are kept themselves");
    p.choice("combine", combine_,
             {{"max", Combine::kMax}, {"mean", Combine::kMean}, {"sum", Combine::kSum}},
             "max(alpha F, f), alpha F + (1 - alpha) f, or alpha F + f");
    p.get("alpha", alpha_, "weight of the global score F against the new local one f");
    p.choice("group_reduce", group_reduce_, {{"max", "max"}, {"mean", "mean"}},
             "reduction of a query's attention over its GQA group");
    p.get("normalize", normalize_, "divide f, and the redundancy, by their maximum over a head");
    p.get("shift", shift_, "gamma of the shift indicator, f + gamma * std of f; 0 = none");
    p.get("initial_sums", initial_sums_,
          "F begins with the column sums of the whole prompt's attention (H2O)");
    p.get("kernel", kernel_, "width of a max pooling of the ranking, odd; 1 = none");
    p.get("redundancy", redundancy_, "rank down keys that resemble others");
    p.get("mix", mix_, "with redundancy: mix * F - (1 - mix) * redundancy");
    p.choice("similarity", similarity_,
             {{"triton", Redundancy::kTriton}, {"raw", Redundancy::kRaw}},
             "the redundancy's form: G-KV's default, or the one of R-KV's code");
    p.require_range("window", static_cast<double>(window_), 1, 1 << 20);
    p.require_range("alpha", alpha_, 0, 1);
    p.require_range("shift", shift_, 0, 1e6);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
    p.require_range("mix", mix_, 0, 1);
  }

  // With F = before and f the local score, for the tokens before the window. New ones begin with f.
  at::Tensor carry(const LayerView& layer, const at::Tensor& before) const override {
    if (layer.n_tokens() <= window_) return before;  // the window votes for nothing
    at::Tensor global = local_score(layer);
    // Cut right after its prefill, whose queries are all there.
    const bool is_first = !before.defined() && layer.queries.size(1) == layer.n_tokens();
    const at::Tensor earlier = is_first ? begin(layer) : before;
    if (!earlier.defined() || alpha_ == 0) return global;
    const int64_t n_known = std::min(earlier.size(1), global.size(1));
    const at::Tensor faded = earlier.narrow(1, 0, n_known) * alpha_;
    at::Tensor known = global.narrow(1, 0, n_known);
    switch (combine_) {
      case Combine::kMax:
        known.copy_(at::max(faded, known));
        break;
      case Combine::kMean:
        known.copy_(faded + known * (1 - alpha_));
        break;
      case Combine::kSum:
        known.add_(faded);
        break;
    }
    return global;
  }

  // gkv/model/modeling_llama.py:140-151. All T tokens have a sum, those of the window too.
  at::Tensor begin(const LayerView& layer) const override {
    return initial_sums_ ? prompt_sums(layer) : at::Tensor();
  }

  at::Tensor rank(const LayerView& layer, const at::Tensor& carried) const override {
    require_tokens(*this, "gkv", layer.n_tokens());
    at::Tensor ranked =
        kernel_ == 1 ? carried
                     : at::max_pool1d(carried.unsqueeze(0), kernel_, 1, kernel_ / 2).squeeze(0);
    if (redundancy_) {
      at::Tensor alike = key_redundancy(layer.keys, similarity_).narrow(1, 0, ranked.size(1));
      if (normalize_) alike = alike / alike.amax(1, /*keepdim=*/true);
      ranked = ranked * mix_ - alike * (1 - mix_);
    }
    return with_raised_window(ranked, layer.n_tokens(), window_);
  }

  at::Tensor score(const LayerView& layer) const override { return rank(layer, carry(layer, {})); }

  int64_t least_tokens() const override { return window_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = window_};
  }

 private:
  // Attention of the latest queries to the tokens before the window, float32 [H, n - window]: mean
  // over the queries of the maximum (or mean) over the group.
  at::Tensor local_score(const LayerView& layer) const {
    const int64_t n_ranked = layer.n_tokens() - window_;
    const int64_t window = std::min(window_, layer.queries.size(1));
    at::Tensor local = attention_column_sums(latest_queries(layer, window), layer.keys,
                                             layer.attention_scale, group_reduce_)
                           .narrow(1, 0, n_ranked) /
                       window;
    if (shift_ > 0 && window > 1) {
      local.add_(deviation(layer, window).narrow(1, 0, n_ranked), shift_);
    }
    return normalize_ ? local / local.amax(1, /*keepdim=*/true) : local;
  }

  // Standard deviation over the queries of what each token gets, [H, T - window]. No published
  // recipe asks for it, so no operator makes it.
  at::Tensor deviation(const LayerView& layer, int64_t window) const {
    const at::Tensor weights =
        window_attention(layer, window).unflatten(0, {layer.n_kv_heads(), -1});
    return (group_reduce_ == "max" ? weights.amax(1) : weights.mean(1)).std(1);
  }

  // Column sums of the causal attention of all Q = T queries.
  at::Tensor prompt_sums(const LayerView& layer) const {
    return attention_column_sums(layer.queries, layer.keys, layer.attention_scale, group_reduce_);
  }

  int64_t window_ = 16, kernel_ = 1;
  double alpha_ = 0.8, mix_ = 0.5, shift_ = 0;
  bool normalize_ = true, initial_sums_ = false, redundancy_ = true;
  Redundancy similarity_ = Redundancy::kTriton;
  Combine combine_ = Combine::kMax;
  std::string group_reduce_ = "max";  // of the operator
};

KVB_REGISTER_SCORER("gkv", Gkv, "global score carried from cut to cut (G-KV)");

}  // namespace
}  // namespace kvbench
