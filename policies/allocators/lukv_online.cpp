// LU-KV whose budgets follow the prompt: a profile says what tokens of a head are worth by their
// rank (lukv/mean_curve.h) and by their score (lukv/calibration.h); the tokens of all heads and
// layers compete by a mixture of both. Needs no oracle. An addition to the paper.
#include <ATen/ATen.h>

#include <limits>

#include "harness/base/error.h"
#include "policies/allocator.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/calibration.h"
#include "policies/lukv/mean_curve.h"
#include "policies/lukv/online.h"
#include "policies/lukv/profile_array.h"

namespace kvbench {
namespace {

class LuKvOnline : public Allocator {
 public:
  explicit LuKvOnline(Params& p) : file_(p, "lukv_online") {
    p.get("group", group_, "the scorer's group in it; empty = the file's root");
    p.get("trust", trust_, "weight of the prompt's scores; 0 = the profile's curves alone");
    p.require_range("trust", trust_, 0, 1);
    if (!file_.given()) return;
    const auto& path = file_.path();
    file_.read_origin(group_);
    constexpr auto kRowsLast = lukv::ProfileArray::Shape::kRowsLast;
    constexpr float kMost = std::numeric_limits<float>::max();
    scores_ = {path, group_ + "/calibration_scores", lukv::kKnots, kRowsLast, 0, kMost, "scores"};
    importance_ = {
        path, group_ + "/calibration_importance", lukv::kKnots, kRowsLast, 0, kMost, "importance"};
    curves_ = {path, group_ + "/mean_curve", lukv::kParts, kRowsLast, 0, kMost, "losses"};
    curves_.require_nondecreasing();
    scores_.require_nondecreasing();
    importance_.require_nondecreasing();
    sink_ = file_.sink();
    window_ = file_.window();
  }

  void validate(const Pairing& pairing) const override {
    file_.require_pairing(pairing);
    require_model(pairing.n_layers, pairing.n_kv_heads);
  }

  bool reads_scores() const override { return true; }
  bool spans_layers() const override { return true; }

  KeepCounts allocate(const LayerBudget&) const override {
    KVB_CHECK(false, "the lukv_online allocator needs all layers at once");
  }

  std::vector<KeepCounts> allocate_layers(const std::vector<LayerBudget>& budgets) const override {
    const auto n_layers = std::ssize(budgets);
    const int64_t n_kv_heads = budgets.front().n_kv_heads(), n_tokens = budgets.front().n_tokens();
    file_.require_given();
    require_model(n_layers, n_kv_heads);
    const lukv::DiscardPlan plan(budgets.front().ratio, n_layers * n_kv_heads, n_tokens, sink_,
                                 window_);
    lukv::Curves curves;
    add_curves(budgets, plan.n_free, curves);
    const std::vector<int64_t> totals = {plan.total};
    const auto competed = lukv::discard_counts(curves, plan.max_discards, totals);
    const auto discards = lukv::complete(plan, {competed.begin(), competed.end()});
    std::vector<std::vector<int64_t>> counts(static_cast<size_t>(n_layers));
    for (int64_t i = 0; i < n_layers * n_kv_heads; ++i) {
      counts[i / n_kv_heads].push_back(n_tokens - discards[i]);
    }
    return {counts.begin(), counts.end()};
  }

 private:
  void require_model(int64_t n_layers, int64_t n_kv_heads) const {
    for (const auto* array : {&curves_, &scores_, &importance_}) {
      array->require_model(n_layers, n_kv_heads);
    }
  }

  // A curve for each head of each layer. The host waits for all scores at once.
  void add_curves(const std::vector<LayerBudget>& budgets, int64_t n_free,
                  lukv::Curves& curves) const {
    std::vector<at::Tensor> free;
    for (const LayerBudget& budget : budgets) {
      free.push_back(budget.scores.narrow(1, n_free > 0 ? sink_ : 0, n_free));
    }
    const at::Tensor ranked = std::get<0>(at::cat(free).sort(1)).cpu().contiguous();  // [L * H, n]
    for (int64_t head = 0; head < ranked.size(0); ++head) {
      curves.push_back(lukv::online_curve(
          {curves_.rows(head), scores_.rows(head), importance_.rows(head)},
          {ranked.const_data_ptr<float>() + head * n_free, static_cast<size_t>(n_free)}, trust_,
          ranked.size(0)));
    }
  }

  lukv::ProfileFile file_;
  std::string group_;
  double trust_ = 0.5;
  lukv::ProfileArray curves_;               // [L, H, kParts]; empty when no file was given
  lukv::ProfileArray scores_, importance_;  // [L, H, kKnots]
  int64_t sink_ = 0, window_ = 0;
};

KVB_REGISTER_ALLOCATOR("lukv_online", LuKvOnline,
                       "all heads compete by what a profile says their ranks and scores are worth");

}  // namespace
}  // namespace kvbench
