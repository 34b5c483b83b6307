// Expected Attention: the attention that queries of the coming positions are expected to pay, from
// the mean and covariance of the context's queries. policies.md 2.8; kvpress 0.5.5,
// ExpectedAttentionPress.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "kernels/expected_attention_scores/expected_attention_scores_torch.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class ExpectedAttention : public Scorer {
 public:
  explicit ExpectedAttention(Params& p) {
    p.get("eps", eps_, "added to the expected attention before the value norm weighs it");
    p.get("n_future", n_future_, "coming positions over which the rotation is averaged");
    p.get("n_sink", n_sink_, "first tokens: always kept, and left out of the statistics");
    p.get("use_covariance", use_covariance_, "second-order term; false uses the mean query only");
    p.get("use_vnorm", use_vnorm_, "weigh by the norm of the value");
    p.get("softmax_over_sinks", softmax_over_sinks_,
          "let the sinks take their share of the attention, as LU-KV's official profile does");
    p.require_range("eps", eps_, 0, 1e6);
    p.require_range("n_future", static_cast<double>(n_future_), 1, 1 << 20);
    p.require_range("n_sink", static_cast<double>(n_sink_), 0, 1 << 20);
  }

  // s_j = (mean over the group of softmax_j(z) + eps) * ||V_j||,
  // z_j = mu'.K_j / sqrt(d) + K_j^T C' K_j / (2 d); the sinks stand above the layer's maximum.
  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
    require_tokens(*this, "expected_attention", n_tokens);
    const int64_t n_ranked = n_tokens - n_sink_;
    const auto [mean, covariance] =
        statistics(layer.queries_prerope.narrow(1, n_sink_, n_ranked));  // [Hq, d], [Hq, d, d]
    const at::Tensor rotation = mean_rotation(layer);                    // [d, d]
    const at::Tensor linear = at::matmul(mean, rotation.t()).mul_(layer.attention_scale);
    std::optional<at::Tensor> quadratic;
    if (use_covariance_) {
      quadratic = at::matmul(at::matmul(rotation, covariance), rotation.t())
                      .mul_(layer.attention_scale * layer.attention_scale / 2);
    }
    const at::Tensor ranked =
        expected_attention_scores(layer.keys, layer.values, linear, quadratic, n_sink_,
                                  softmax_over_sinks_, use_vnorm_, eps_);
    at::Tensor scores = at::empty({n_heads, n_tokens}, ranked.options());
    scores.narrow(1, n_sink_, n_ranked).copy_(ranked);
    scores.narrow(1, 0, n_sink_).copy_(above(ranked).expand({n_heads, n_sink_}));
    return scores;
  }

  int64_t least_tokens() const override { return n_sink_ + 1; }

 private:
  // Mean and covariance of queries [Hq, n, d]; on a CPU a head at a time, so that nothing larger
  // than [n, d] is made, elsewhere some at a time: a head alone is too little work.
  std::pair<at::Tensor, at::Tensor> statistics(const at::Tensor& queries) const {
    constexpr int64_t kMostElements = int64_t{1} << 26;
    const int64_t of_head = std::max<int64_t>(queries.size(1) * queries.size(2), 1);
    const int64_t n_heads = queries.is_cpu() ? 1 : std::max<int64_t>(kMostElements / of_head, 1);
    std::vector<at::Tensor> means, covariances;
    for (const at::Tensor& of_heads : queries.split(n_heads)) {
      const at::Tensor values = of_heads.to(at::kFloat);
      means.push_back(values.mean(1));
      if (!use_covariance_) continue;
      const at::Tensor centred = values - means.back().unsqueeze(1);
      const at::Tensor products = n_heads == 1
                                      ? at::mm(centred[0].t(), centred[0]).unsqueeze(0)
                                      : at::bmm(centred.mT(), centred);
      covariances.push_back(products.div(queries.size(1)));
    }
    return {at::cat(means), use_covariance_ ? at::cat(covariances) : at::Tensor()};
  }

  // Mean of the rotations R_t over the positions t = T ... T + n_future - 1, scaled as RoPE scales,
  // float32 [d, d]: cos and sin of pair (i, i + d / 2), averaged in float64.
  at::Tensor mean_rotation(const LayerView& layer) const {
    const at::Tensor frequencies = layer.inverse_frequencies.to(at::kDouble);
    const at::Tensor angles =
        at::arange(layer.n_tokens(), layer.n_tokens() + n_future_, frequencies.options())
            .unsqueeze(1) *
        frequencies;  // [n_future, d / 2]
    const at::Tensor cos = angles.cos().mean(0).diag(), sin = angles.sin().mean(0).diag();
    const at::Tensor rotation = at::cat({at::cat({cos, -sin}, 1), at::cat({sin, cos}, 1)});
    return (rotation * layer.rope_factor).to(at::kFloat);
  }

  double eps_ = 0;
  int64_t n_future_ = 512, n_sink_ = 4;
  bool use_covariance_ = true, use_vnorm_ = true, softmax_over_sinks_ = false;
};

KVB_REGISTER_SCORER("expected_attention", ExpectedAttention,
                    "attention expected from the coming queries, times the value norm");

}  // namespace
}  // namespace kvbench
