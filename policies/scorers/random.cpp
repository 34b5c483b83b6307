// The floor: tokens at random. policies.md 2.1.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "policies/scorer.h"

namespace kvbench {
namespace {

class RandomScorer : public Scorer {
 public:
  explicit RandomScorer(Params& p) {
    p.get("seed", seed_, "of the draw; -1 takes the sample's own seed");
    p.get("seed_per_layer", seed_per_layer_,
          "a draw of its own for every layer; false repeats one draw, as kvpress does");
    p.require_range("seed", static_cast<double>(seed_), -1, 9e15);
  }

  // Uniform in [0, 1), drawn on the CPU, so that every device keeps the same tokens.
  at::Tensor score(const LayerView& layer) const override {
    uint64_t seed = seed_ < 0 ? layer.seed : static_cast<uint64_t>(seed_);
    if (seed_per_layer_) seed = seed * 1'000'003 + static_cast<uint64_t>(layer.index);
    auto generator = at::detail::createCPUGenerator(seed);
    return at::rand({layer.n_kv_heads(), layer.n_tokens()}, generator,
                    at::TensorOptions(at::kFloat))
        .to(layer.keys.device());
  }

  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  int64_t seed_ = -1;
  bool seed_per_layer_ = true;
};

KVB_REGISTER_SCORER("random", RandomScorer, "uniform random scores: the floor");

}  // namespace
}  // namespace kvbench
