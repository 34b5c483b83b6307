// The floor: tokens at random. policies.md 2.1.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "policies/draws.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class RandomScorer : public Scorer {
 public:
  explicit RandomScorer(Params& p) {
    p.get("seed", seed_, "of the draw; -1 takes the sample's own seed");
    p.get("seed_per_layer", seed_per_layer_,
          "a draw of its own for every layer, head and step; false repeats kvpress's one draw");
    p.get("unified", unified_, "one draw for all heads of a layer");
    p.require(!unified_ || seed_per_layer_, "unified", "expected seed_per_layer beside it");
    p.require_range("seed", static_cast<double>(seed_), -1, 9e15);
  }

  // Uniform between 0 and 1.
  at::Tensor score(const LayerView& layer) const override {
    const uint64_t seed = seed_ < 0 ? layer.seed : static_cast<uint64_t>(seed_);
    const at::Tensor draws =
        seed_per_layer_ ? uniform_draws(layer, seed, unified_) : kvpress_draws(layer, seed);
    return draws.to(layer.keys.device(), at::kFloat);
  }

  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  static at::Tensor kvpress_draws(const LayerView& layer, uint64_t seed) {
    auto generator = at::detail::createCPUGenerator(seed);
    return at::rand({layer.n_kv_heads(), layer.n_tokens()}, generator,
                    at::TensorOptions(at::kFloat));
  }

  int64_t seed_ = -1;
  bool seed_per_layer_ = true, unified_ = false;
};

KVB_REGISTER_SCORER("random", RandomScorer, "uniform random scores: the floor");

}  // namespace
}  // namespace kvbench
