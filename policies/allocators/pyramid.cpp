// PyramidKV (Cai et al. 2024, arXiv 2406.02069): early layers keep more, late layers less; all
// heads of a layer the same. policies.md 3.2.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "policies/allocator.h"
#include "policies/apportion.h"

namespace kvbench {
namespace {

class Pyramid : public Allocator {
 public:
  explicit Pyramid(Params& p) : rule_(p) {
    p.get("beta", beta_, "steepness: the last layer's budget is the mean divided by this");
    p.get("window", window_, "last tokens that the budgets must hold");
    p.get("fallback", fallback_,
          "uniform when the last layer would keep less than the window, as kvpress; false: sloped");
    p.get("integer_steps", integer_steps_,
          "the authors' whole steps, the window on top of them; the total exceeds the ratio's");
    p.get("exact_total", exact_total_, "round so that the total equals the uniform one");
    p.require_range("beta", static_cast<double>(beta_), 1, 1 << 20);
    p.require_range("window", static_cast<double>(window_), 0, 1 << 20);
  }

  KeepCounts allocate(const LayerBudget& budget) const override {
    const std::vector<double> targets = integer_steps_ ? authors(budget) : kvpress(budget);
    const int64_t count = exact_total_ ? with_exact_total(targets, budget)[budget.layer]
                                       : std::llrint(targets[budget.layer]);  // half to even
    return std::vector<int64_t>(budget.n_kv_heads(),
                                std::clamp<int64_t>(count, 1, budget.n_tokens()));
  }

  bool ignores_ratio() const override { return rule_.ignores_ratio(); }

 private:
  // B = T (1 - r), min = B / beta, max = 2 B - min, clamped so that max + W <= T; layer l gets
  // max - l (max - min) / (L - 1).
  std::vector<double> kvpress(const LayerBudget& budget) const {
    const double mean = budget.uniform_share(rule_);
    const auto n_tokens = static_cast<double>(budget.n_tokens());
    const auto window = static_cast<double>(window_);
    double low = mean / static_cast<double>(beta_), high = 2 * mean - low;
    if (high >= n_tokens - window) {
      high = n_tokens - window;
      low = 2 * mean - high;
    }
    const bool slopes = budget.n_layers > 1 && n_tokens >= high && high >= low;
    if (!slopes || (fallback_ && low < window)) {
      return std::vector<double>(budget.n_layers, mean);
    }
    // In this order no multiplication can be fused with the subtraction, which would decide halves.
    const auto n_steps = static_cast<double>(budget.n_layers - 1);
    std::vector<double> targets;
    for (int64_t l = 0; l < budget.n_layers; ++l) {
      targets.push_back(high - static_cast<double>(l) * (high - low) / n_steps);
    }
    return targets;
  }

  // KVCache-Factory: C tokens a head, B = C - W, the same formula in whole numbers, then W on top;
  // uniform when the context is shorter than 2 B, and when there is nothing beside the window.
  std::vector<double> authors(const LayerBudget& budget) const {
    const int64_t capacity = budget.uniform_count(rule_), n_tokens = budget.n_tokens();
    const int64_t mean = capacity - window_;
    std::vector<double> targets(budget.n_layers, static_cast<double>(capacity));
    if (mean <= 0 || n_tokens < 2 * mean || budget.n_layers == 1) return targets;
    int64_t low = mean / beta_, high = 2 * mean - low;
    if (high >= n_tokens - window_) {
      high = n_tokens - window_;
      low = 2 * mean - high;
    }
    const int64_t step = (high - low) / (budget.n_layers - 1);
    for (int64_t l = 0; l < budget.n_layers; ++l) {
      targets[l] = static_cast<double>(high - l * step + window_);
    }
    return targets;
  }

  // The targets scaled to a sum of L n and rounded by largest remainder.
  std::vector<int64_t> with_exact_total(std::vector<double> targets,
                                        const LayerBudget& budget) const {
    const int64_t total = budget.n_layers * budget.uniform_count(rule_);
    const double sum = std::accumulate(targets.begin(), targets.end(), 0.0);
    for (double& target : targets) target *= static_cast<double>(total) / sum;
    std::vector<int64_t> counts = apportion(targets, total);
    raise_to_floor(counts, 1);
    return counts;
  }

  BudgetRule rule_;
  int64_t beta_ = 20, window_ = 64;
  bool fallback_ = true, integer_steps_ = false, exact_total_ = false;
};

KVB_REGISTER_ALLOCATOR("pyramid", Pyramid, "early layers keep more than late ones (PyramidKV)");

}  // namespace
}  // namespace kvbench
