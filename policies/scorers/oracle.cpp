// The ceiling: tokens ranked by what they turn out to be worth to the full cache's own answer. It
// sees the future, so it bounds what a scorer could reach and is no policy to deploy.
// policies.md 4.1.
#include "policies/scorer.h"

namespace kvbench {
namespace {

class Oracle : public Scorer {
 public:
  explicit Oracle(Params&) {}

  at::Tensor score(const LayerView& layer) const override {
    if (!layer.importance.defined()) {
      throw InputError("oracle: ranks by the answer, which is known in a sweep only");
    }
    return layer.importance;
  }

  bool needs_answer() const override { return true; }
};

KVB_REGISTER_SCORER("oracle", Oracle, "what the answer turns out to need: the ceiling");

}  // namespace
}  // namespace kvbench
