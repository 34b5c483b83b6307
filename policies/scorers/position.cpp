// StreamingLLM (Xiao et al. 2024, arXiv 2309.17453): the first tokens and the latest ones.
// policies.md 2.2. Keys keep their rotation, as in the peers.
#include <ATen/ATen.h>

#include "policies/scorer.h"

namespace kvbench {
namespace {

class Position : public Scorer {
 public:
  explicit Position(Params& p) {
    p.get("sink", sink_, "first tokens that are always kept");
    p.require_range("sink", static_cast<double>(sink_), 0, 1 << 20);
  }

  // Later is higher, and the sinks above all. Any budget n thus keeps the sinks and the latest
  // n - sink tokens; kvpress's 0/1 scores, which depend on n, select the same set.
  at::Tensor score(const LayerView& layer) const override {
    const int64_t n_tokens = layer.n_tokens();
    at::Tensor scores = at::arange(n_tokens, layer.keys.options().dtype(at::kFloat));
    scores.narrow(0, 0, std::min(sink_, n_tokens)).fill_(static_cast<double>(n_tokens));
    return scores.expand({layer.n_kv_heads(), n_tokens}).contiguous();
  }

  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  int64_t sink_ = 4;
};

KVB_REGISTER_SCORER("position", Position, "the first tokens and the latest (StreamingLLM)");

}  // namespace
}  // namespace kvbench
