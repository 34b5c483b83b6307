// R-KV as its authors run it (Zefan-Cai/R-KV@d15c976 rkv/compression/r1_kv.py): attention of the
// latest queries to the tokens before them, less the redundancy of their keys. Other methods of the
// name: G-KV's R-KV mode (gkv), VaSE's attn_rkv (vase).
#include <ATen/ATen.h>

#include "kernels/attention_column_sums/attention_column_sums_torch.h"
#include "policies/attention_sums.h"
#include "policies/key_redundancy.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class Rkv : public Scorer {
 public:
  explicit Rkv(Params& p) {
    p.get("window", window_, "latest tokens: their queries vote, they are kept themselves");
    p.get("kernel", kernel_, "width of the max pooling, odd");
    p.get("mix", mix_, "mix * attention - (1 - mix) * redundancy");
    p.require_range("window", static_cast<double>(window_), 1, 1 << 20);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
    p.require_range("mix", mix_, 0, 1);
  }

  // The group's maximum is of logits, and the softmax runs over the ranked tokens alone. Pooling
  // goes by rows, which lie by rank after a cut.
  at::Tensor score(const LayerView& layer) const override {
    require_tokens(*this, "rkv", layer.n_tokens());
    const int64_t n_ranked = layer.n_tokens() - window_;
    const at::Tensor queries = latest_queries(layer, std::min(window_, layer.queries.size(1)));
    const at::Tensor votes =
        attention_column_sums(queries, layer.keys.narrow(1, 0, n_ranked), layer.attention_scale,
                              "max_logit", /*causal=*/false) /
        queries.size(1);
    const at::Tensor pooled =
        at::max_pool1d(votes.unsqueeze(0), kernel_, 1, kernel_ / 2).squeeze(0);
    const at::Tensor alike = key_redundancy(layer.keys, Redundancy::kRaw).narrow(1, 0, n_ranked);
    return with_raised_window(pooled * mix_ - alike * (1 - mix_), layer.n_tokens(), window_);
  }

  int64_t least_tokens() const override { return window_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    return DecodeNeeds{.queries = window_, .ranked_before_last = window_};
  }

 private:
  int64_t window_ = 8, kernel_ = 7;
  double mix_ = 0.07;
};

KVB_REGISTER_SCORER("rkv", Rkv, "attention of the latest queries less key redundancy (R-KV)");

}  // namespace
}  // namespace kvbench
