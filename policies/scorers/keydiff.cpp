// KeyDiff (Park et al. 2025, arXiv 2504.15364): keys unlike the others are kept. policies.md 2.4:
// one shot over the whole context; the paper cuts after every block of the prompt.
#include <ATen/ATen.h>

#include "policies/attention_sums.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

class KeyDiff : public Scorer {
 public:
  explicit KeyDiff(Params& p) {
    p.get("recent", recent_, "last tokens that are always kept (the paper's sliding variant)");
    p.require_range("recent", static_cast<double>(recent_), 0, 1 << 20);
  }

  // s_j = -cos(K_j, a), a the mean of the normalised keys; keys after RoPE.
  at::Tensor score(const LayerView& layer) const override {
    if (layer.n_tokens() <= recent_) {
      throw_input_error("keydiff: a context of {} tokens is not longer than the {} recent ones",
                        layer.n_tokens(), recent_);
    }
    const at::Tensor keys = layer.keys.to(at::kFloat);
    const at::Tensor norms = keys.norm(2, {-1}, /*keepdim=*/true);      // [H, T, 1]
    const at::Tensor anchor = (keys / norms.clamp_min(1e-12)).mean(1);  // [H, d]
    const at::Tensor dots = at::matmul(keys, anchor.unsqueeze(-1)).squeeze(-1);
    const at::Tensor lengths =
        norms.squeeze(-1).clamp_min(1e-8) * anchor.norm(2, {-1}, true).clamp_min(1e-8);
    at::Tensor scores = -(dots / lengths);
    raise_window(scores, recent_);
    return scores;
  }

 private:
  int64_t recent_ = 0;
};

KVB_REGISTER_SCORER("keydiff", KeyDiff, "negative cosine of a key to the mean key direction");

}  // namespace
}  // namespace kvbench
