#include "harness/runner/policy.h"

#include <ATen/ATen.h>

#include "harness/base/hash.h"

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
  if (!spec.weighting.name.empty()) {
    std::tie(weighting_, weighting_label_) = make_part<Weighting>(spec.weighting);
  }
  for (const PartSpec* part : {&spec.scorer, &spec.allocator, &spec.weighting}) {
    for (const auto& given : part->params) {
      if (given.key != "profile") continue;
      profile_hashes_ += fmt::format("{} {}\n", given.text, sha256_file(given.text));
    }
  }
  Params params("protect", spec.origin, spec.protect);
  params.get("sink", sink_, "first tokens that outrank every other");
  params.get("recent", recent_, "last tokens that outrank every other");
  params.require_range("sink", static_cast<double>(sink_), 0, 1 << 20);
  params.require_range("recent", static_cast<double>(recent_), 0, 1 << 20);
  params.finish();
}

std::string Policy::canonical() const {
  if (is_full()) return "full";
  // A profile is a file: its content belongs to the policy's identity, not only its name.
  return fmt::format("{}+{}{}+protect(sink={},recent={}){}", scorer_label_, allocator_label_,
                     weighting_ ? "+" + weighting_label_ : "", sink_, recent_, profile_hashes_);
}

at::Tensor Policy::protected_scores(const at::Tensor& scores) const {
  if (sink_ == 0 && recent_ == 0) return scores;
  at::Tensor raised = scores.clone();
  protect(raised, sink_, recent_);
  return raised;
}

std::vector<int64_t> Policy::allocate(const LayerView& layer, const at::Tensor& scores,
                                      double ratio) const {
  return allocator_->allocate({layer.index, layer.n_layers, ratio, scores});
}

std::vector<std::vector<int64_t>> Policy::allocate_layers(const std::vector<at::Tensor>& scores,
                                                          double ratio) const {
  std::vector<LayerBudget> budgets;
  const auto n_layers = static_cast<int64_t>(scores.size());
  for (int64_t l = 0; l < n_layers; ++l) budgets.push_back({l, n_layers, ratio, scores[l]});
  return allocator_->allocate_layers(budgets);
}

KeptTokens Policy::select(const LayerView& layer, const at::Tensor& scores,
                          const std::vector<int64_t>& counts) const {
  return select_top(weighting_ ? weighting_->weigh(layer, scores, counts) : scores, counts);
}

}  // namespace kvbench
