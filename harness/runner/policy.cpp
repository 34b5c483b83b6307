#include "harness/runner/policy.h"

#include <ATen/ATen.h>

namespace kvbench {
namespace {

// Makes the part that `spec` names and the label of its name and parameters in effect.
template <class Part>
std::pair<std::unique_ptr<Part>, std::string> make_part(const PartSpec& spec) {
  const std::string place =
      spec.line > 0 ? fmt::format("{}:{}", spec.origin, spec.line) : spec.origin;
  const auto& entry = Registry<Part>::instance().find(spec.name, place);
  Params params(fmt::format("{} {}", Part::kind(), spec.name), spec.origin, spec.params);
  auto part = entry.make(params);
  params.finish();
  const std::string values = params.canonical();
  return {std::move(part), values.empty() ? spec.name : fmt::format("{}({})", spec.name, values)};
}

}  // namespace

Policy::Policy(const PolicySpec& spec) : name_(spec.name) {
  if (spec.full) return;
  std::tie(scorer_, scorer_label_) = make_part<Scorer>(spec.scorer);
  std::tie(allocator_, allocator_label_) = make_part<Allocator>(spec.allocator);
  Params params("protect", spec.origin, spec.protect);
  params.get("sink", sink_, "first tokens that outrank every other");
  params.get("recent", recent_, "last tokens that outrank every other");
  params.require_range("sink", static_cast<double>(sink_), 0, 1 << 20);
  params.require_range("recent", static_cast<double>(recent_), 0, 1 << 20);
  params.finish();
}

std::string Policy::canonical() const {
  if (is_full()) return "full";
  return fmt::format("{}+{}+protect(sink={},recent={})", scorer_label_, allocator_label_, sink_,
                     recent_);
}

KeptTokens Policy::select(const LayerView& layer, const at::Tensor& scores, double ratio) const {
  if (is_full() || ratio == 0) return keep_all(layer.n_kv_heads(), layer.n_tokens());
  KVB_CHECK(scores.scalar_type() == at::kFloat && scores.dim() == 2 &&
                scores.size(0) == layer.n_kv_heads() && scores.size(1) == layer.n_tokens(),
            "{} must give float32 scores [H, T]", scorer_label_);
  LayerBudget budget;
  budget.layer = layer.index;
  budget.n_layers = layer.n_layers;
  budget.ratio = ratio;
  budget.scores = scores;
  if (sink_ > 0 || recent_ > 0) {
    budget.scores = scores.clone();
    protect(budget.scores, sink_, recent_);
  }
  return select_top(budget.scores, allocator_->allocate(budget));
}

}  // namespace kvbench
