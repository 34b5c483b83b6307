// Expected Attention: the attention that queries of the coming positions are expected to pay, from
// the mean and covariance of the context's queries. policies.md 2.8; kvpress 0.5.5,
// ExpectedAttentionPress.
#include <ATen/ATen.h>

#include <cmath>

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
    const at::Tensor attention = expected_logits(layer).softmax(-1);  // [Hq, n]
    at::Tensor ranked = attention.narrow(1, attention.size(1) - n_ranked, n_ranked)
                            .unflatten(0, {n_heads, -1})
                            .mean(1);  // [H, n_ranked]
    if (use_vnorm_) {
      const at::Tensor values = layer.values.narrow(1, n_sink_, n_ranked);
      ranked = (ranked + eps_) * at::linalg_vector_norm(values, 2, {-1}, false, at::kFloat);
    }
    at::Tensor scores = at::empty({n_heads, n_tokens}, ranked.options());
    scores.narrow(1, n_sink_, n_ranked).copy_(ranked);
    scores.narrow(1, 0, n_sink_).fill_(above(ranked));
    return scores;
  }

  int64_t least_tokens() const override { return n_sink_ + 1; }

 private:
  // z of all keys, or of those behind the sinks, [Hq, n]. A query head at a time, so that nothing
  // larger than [n, d] is made.
  at::Tensor expected_logits(const LayerView& layer) const {
    const int64_t first = softmax_over_sinks_ ? 0 : n_sink_;
    const int64_t n_query_heads = layer.queries_prerope.size(0);
    const int64_t group = n_query_heads / layer.n_kv_heads();
    const at::Tensor keys = layer.keys.narrow(1, first, layer.n_tokens() - first).to(at::kFloat);
    const at::Tensor rotation = mean_rotation(layer);  // [d, d]
    std::vector<at::Tensor> logits;
    for (int64_t q = 0; q < n_query_heads; ++q) {
      const at::Tensor queries =
          layer.queries_prerope[q].narrow(0, n_sink_, layer.n_tokens() - n_sink_).to(at::kFloat);
      const at::Tensor mean = queries.mean(0);  // [d]
      const at::Tensor linear = at::mv(rotation, mean) * layer.attention_scale;
      const at::Tensor head_keys = keys[q / group];  // [n, d]
      if (!use_covariance_) {
        logits.push_back(at::mv(head_keys, linear));
        continue;
      }
      const at::Tensor centred = queries - mean;
      const at::Tensor covariance = at::mm(centred.t(), centred) / queries.size(0);
      const at::Tensor quadratic = at::mm(at::mm(rotation, covariance), rotation.t()) *
                                   (layer.attention_scale * layer.attention_scale / 2);
      logits.push_back(at::addmm(linear, head_keys, quadratic).mul_(head_keys).sum(-1));
    }
    return at::stack(logits);
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
