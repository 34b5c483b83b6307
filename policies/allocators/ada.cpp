// AdaKV (Feng et al. 2024, arXiv 2407.11550): the heads of a layer share its budget by competing in
// one list; the layer's total is fixed. policies.md 3.3.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "kernels/flattened_counts/flattened_counts_torch.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

enum class FloorMode { kMinimum, kBlend };

class Ada : public Allocator {
 public:
  explicit Ada(Params& p) : rule_(p) {
    p.get("alpha", alpha_, "share of the uniform budget that every head is sure of");
    p.choice("floor_mode", floor_mode_,
             {{"minimum", FloorMode::kMinimum}, {"blend", FloorMode::kBlend}},
             "each head's best tokens first, as kvpress, or counts mixed with uniform ones, as the "
             "authors");
    p.get("window", window_, "last tokens outside the competition (blend, normalise)");
    p.get("normalise", normalise_, "weigh a head by the share of its scores in its best tokens");
    p.require_range("alpha", alpha_, 0, 1);
    p.require_range("window", static_cast<double>(window_), 0, 1 << 20);
  }

  bool reads_scores() const override { return true; }

  KeepCounts allocate(const LayerBudget& budget) const override {
    const int64_t n = budget.uniform_count(rule_);
    const bool normalised = normalise_ && n > window_;
    const at::Tensor scores = normalised ? weighted(budget.scores, n - window_) : budget.scores;
    return floor_mode_ == FloorMode::kBlend ? blend(scores, n) : minimum(scores, n);
  }

  bool ignores_ratio() const override { return rule_.ignores_ratio(); }

 private:
  // The best trunc(alpha n) tokens of each head, then the best of all heads up to H n. At least one
  // token is safe, so that alpha = 0 leaves no head empty.
  KeepCounts minimum(const at::Tensor& scores, int64_t n) const {
    const auto safe = static_cast<int64_t>(alpha_ * static_cast<double>(n));
    const int64_t total = scores.size(0) * n;
    return {flattened_counts(scores, total, std::max<int64_t>(1, safe)), total};
  }

  // With c_h tokens of head h among the H B best unprotected ones, B = n - W:
  // n_h = W + round(c_h (1 - alpha) + trunc(alpha B)), half to even. The sum may miss H n by a few.
  KeepCounts blend(const at::Tensor& scores, int64_t n) const {
    const int64_t n_heads = scores.size(0), n_tokens = scores.size(1), rest = n - window_;
    if (rest <= 0) return std::vector<int64_t>(n_heads, n);  // nothing beside the window
    const at::Tensor competed =
        flattened_counts(scores.narrow(1, 0, n_tokens - window_), n_heads * rest, /*safe=*/0);
    const double floor = std::trunc(alpha_ * static_cast<double>(rest));
    // Rounded to float32 as there, so that what is half in decimals is half here.
    const at::Tensor own = (competed.to(at::kDouble) * (1 - alpha_)).to(at::kFloat);
    const at::Tensor counts =
        (own.to(at::kDouble) + floor).round().add_(window_).clamp_(1, n_tokens).to(at::kInt);
    const double most = static_cast<double>(n_heads) * (static_cast<double>(window_) + floor + 1) +
                        static_cast<double>(n_heads * rest) * (1 - alpha_);
    return {counts, std::min(n_heads * n_tokens, static_cast<int64_t>(most) + 1)};
  }

  // Unprotected scores of a head times (sum of its `best` highest) / (sum of all), which is meant
  // for scores that are not negative.
  at::Tensor weighted(const at::Tensor& scores, int64_t best) const {
    at::Tensor result = scores.clone();
    at::Tensor free = result.narrow(1, 0, scores.size(1) - window_);
    const at::Tensor all = free.sum(1, /*keepdim=*/true);
    const at::Tensor top = std::get<0>(free.topk(best, 1)).sum(1, /*keepdim=*/true);
    free.mul_(at::where(all > 0, top / all, at::ones_like(all)));
    return result;
  }

  BudgetRule rule_;
  double alpha_ = 0.2;
  FloorMode floor_mode_ = FloorMode::kMinimum;
  int64_t window_ = 32;
  bool normalise_ = false;
};

KVB_REGISTER_ALLOCATOR("ada", Ada, "the heads of a layer compete for its budget (AdaKV)");

}  // namespace
}  // namespace kvbench
