// Knorm (Devoto et al. 2024, arXiv 2406.11430): keys of small norm draw attention and are kept.
// policies.md 2.3; kvpress 0.5.5, KnormPress.
#include <ATen/ATen.h>

#include "kernels/row_norms/row_norms_torch.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class Knorm : public Scorer {
 public:
  explicit Knorm(Params& p) {
    p.get("skip_layers", skip_layers_, "first layers that stay whole; KVCache-Factory skips 2");
    p.require_range("skip_layers", static_cast<double>(skip_layers_), 0, 1 << 20);
  }

  // s_j = -||K_j||, the same before and after RoPE. Nothing is protected.
  at::Tensor score(const LayerView& layer) const override {
    return row_norms(layer.keys, 2).neg_();
  }

  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }
  int64_t skip_layers() const override { return skip_layers_; }

 private:
  int64_t skip_layers_ = 0;
};

KVB_REGISTER_SCORER("knorm", Knorm, "negative norm of a key");

}  // namespace
}  // namespace kvbench
