// Knorm (Devoto et al. 2024, arXiv 2406.11430): keys of small norm draw attention and are kept.
// policies.md 2.3; kvpress 0.5.5, KnormPress.
#include <ATen/ATen.h>

#include "policies/policy.h"

namespace kvbench {
namespace {

class Knorm : public Scorer {
 public:
  explicit Knorm(Params&) {}

  // s_j = -||K_j||, the same before and after RoPE. Nothing is protected. KVCache-Factory also
  // keeps the first two layers whole: that is a matter of budgets, which no scorer decides.
  at::Tensor score(const LayerView& layer) const override {
    return -at::linalg_vector_norm(layer.keys, 2, {-1}, /*keepdim=*/false, at::kFloat);
  }
};

KVB_REGISTER_SCORER("knorm", Knorm, "negative norm of a key");

}  // namespace
}  // namespace kvbench
