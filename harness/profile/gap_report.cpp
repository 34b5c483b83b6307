#include "harness/profile/gap_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/profile/learn.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/gap.h"
#include "policies/lukv/mean_curve.h"
#include "policies/lukv/online.h"
#include "policies/lukv/profile_counts.h"

namespace kvbench {
namespace {

constexpr int64_t kStep = 10;            // percent between rows
constexpr double kMostExactWork = 1e10;  // steps of a dynamic programme, some seconds

double ratio_of_row(size_t i) {
  return static_cast<double>(kStep) * static_cast<double>(i + 1) / 100;
}

// Run-time keep counts of the averaged table, [L * H].
std::vector<int64_t> profile_budget(const h5::Array<double>& table, double ratio,
                                    int64_t n_tokens) {
  const int64_t n_layers = table.dims[1], n_kv_heads = table.dims[2];
  const double* row = table.values.data() + lukv::profile_row(ratio) * n_layers * n_kv_heads;
  std::vector<int64_t> counts;
  for (int64_t l = 0; l < n_layers; ++l) {
    const std::vector<float> prune(row + l * n_kv_heads, row + (l + 1) * n_kv_heads);
    const auto layer = lukv::profile_counts(prune, n_tokens);
    counts.insert(counts.end(), layer.begin(), layer.end());
  }
  return counts;
}

// Run-time keep counts of the allocators lukv_curves and lukv_online, [L * H].
std::vector<int64_t> keep_counts(const lukv::DiscardPlan& plan, int64_t n_tokens,
                                 const std::vector<int64_t>& discards) {
  std::vector<int64_t> counts;
  for (const int64_t gone : lukv::complete(plan, discards)) counts.push_back(n_tokens - gone);
  return counts;
}

// What one scorer's profile makes of contexts.
class Budgets {
 public:
  Budgets(const ProfileData& data, const ScorerProfile& scorer)
      : scorer_(scorer),
        table_(average(data, scorer).table),
        learnt_(learn_curves(data, scorer)),
        curves_(learnt_.mean_curve) {}

  std::vector<int64_t> table(double ratio, int64_t n_tokens) const {
    return profile_budget(table_, ratio, n_tokens);
  }

  std::vector<int64_t> curves(double ratio, int64_t n_tokens) const {
    const auto plan = plan_of(ratio, n_tokens);
    return keep_counts(plan, n_tokens, curves_.discards(plan));
  }

  // ranked_scores: [L * H][E].
  std::vector<int64_t> online(double ratio, int64_t n_tokens,
                              const std::vector<std::vector<float>>& ranked_scores) const {
    const auto row = [](const std::vector<float>& values, int64_t head, int64_t n) {
      return std::span(values).subspan(head * n, n);
    };
    lukv::Curves curves;
    for (int64_t head = 0; head < std::ssize(ranked_scores); ++head) {
      curves.push_back(lukv::online_curve({row(learnt_.mean_curve, head, lukv::kParts),
                                           row(learnt_.calibration_scores, head, lukv::kKnots),
                                           row(learnt_.calibration_importance, head, lukv::kKnots)},
                                          ranked_scores[head], kDefaultTrust, n_heads()));
    }
    const auto plan = plan_of(ratio, n_tokens);
    const std::vector<int64_t> totals = {plan.total};
    const auto discards = lukv::discard_counts(curves, plan.max_discards, totals);
    return keep_counts(plan, n_tokens, {discards.begin(), discards.end()});
  }

 private:
  static constexpr double kDefaultTrust = 0.5;  // of lukv_online

  int64_t n_heads() const { return table_.dims[1] * table_.dims[2]; }
  lukv::DiscardPlan plan_of(double ratio, int64_t n_tokens) const {
    return {ratio, n_heads(), n_tokens, scorer_.sink, scorer_.window};
  }

  const ScorerProfile& scorer_;
  h5::Array<double> table_;
  LearntCurves learnt_;
  lukv::MeanCurves curves_;
};

// Adds one entry's losses at 10, 20, ... 90 %, as shares of its total importance.
void add_entry(const ScorerCurve& curve, const ScorerProfile& scorer, int64_t n_tokens,
               double min_keep, const Budgets& budgets, double weight,
               std::vector<GapLosses>& mean) {
  const auto n_heads = static_cast<int64_t>(curve.losses.size());
  const int64_t max_discards = std::max<int64_t>(
      0, n_tokens - lukv::min_keep_tokens(min_keep, n_tokens, scorer.sink, scorer.window));
  const auto all = lukv::ratio_totals(n_heads * n_tokens);
  std::vector<int64_t> totals;
  for (int64_t percent = kStep; percent < 100; percent += kStep) totals.push_back(all[percent - 1]);
  // Beyond what the heads may give up every budget is the same.
  for (auto& total : totals) total = std::min(total, n_heads * max_discards);
  const double work = static_cast<double>(n_heads) * static_cast<double>(max_discards) *
                      static_cast<double>(totals.back()) / 2;
  const auto gaps = lukv::gaps(curve.losses, max_discards, totals, work <= kMostExactWork);
  for (size_t i = 0; i < gaps.size(); ++i) {
    const lukv::Gap& gap = gaps[i];
    if (gap.total == 0) continue;  // nothing mattered: all losses are 0
    GapLosses& row = mean[i];
    const double ratio = row.ratio, share = weight / gap.total;
    const auto loss = [&](const std::vector<int64_t>& keep) {
      return share * lukv::loss_of_keep_counts(curve.losses, keep, n_tokens);
    };
    row.hull += share * gap.hull_objective;
    row.oracle += share * gap.oracle_optimal;
    row.oracle_uniform += share * gap.oracle_uniform;
    row.uniform += share * gap.heuristic_uniform;
    row.greedy += share * gap.heuristic_greedy;
    row.exact += share * gap.heuristic_exact;
    row.profile += loss(budgets.table(ratio, n_tokens));
    row.curves += loss(budgets.curves(ratio, n_tokens));
    row.online += loss(budgets.online(ratio, n_tokens, curve.scores));
  }
}

const ScorerProfile& same_scorer(const ScorerProfile& scorer, const ProfileData& data,
                                 const ProfileData& budgets) {
  for (const ScorerProfile& other : budgets.scorers) {
    if (other.name != scorer.name) continue;
    if (other.scorer != scorer.scorer || budgets.n_layers != data.n_layers ||
        budgets.n_kv_heads != data.n_kv_heads) {
      throw_input_error("budgets of {}: expected {} on {} x {} heads, found {} on {} x {}",
                        scorer.name, scorer.scorer, data.n_layers, data.n_kv_heads, other.scorer,
                        budgets.n_layers, budgets.n_kv_heads);
    }
    return other;
  }
  throw_input_error("no budgets of {} in the other profile", scorer.name);
}

std::string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.3f}", 100 * share);
}

// Mean share that the heads of each layer keep, and the smallest and largest head's.
Grid budget_table(const ProfileData& data, const ScorerProfile& scorer) {
  const auto table = average(data, scorer).table;
  Grid grid;
  grid.title = fmt::format("{}: share kept by the heads of each layer in %, mean (least to most)",
                           scorer.name);
  grid.columns = {{"layer"}, {"ratio 0.5"}, {"ratio 0.8"}, {"ratio 0.9"}};
  for (int64_t layer = 0; layer < data.n_layers; ++layer) {
    std::vector<std::string> row = {fmt::format("{}", layer)};
    for (const double ratio : {0.5, 0.8, 0.9}) {
      const auto first = table.values.begin() +
                         (lukv::profile_row(ratio) * data.n_layers + layer) * data.n_kv_heads;
      const std::vector<double> pruned(first, first + data.n_kv_heads);
      double sum = 0;
      for (const double share : pruned) sum += 1 - share;
      const auto [least, most] = std::minmax_element(pruned.begin(), pruned.end());
      row.push_back(fmt::format("{:.1f} ({:.1f} to {:.1f})",
                                100 * sum / static_cast<double>(data.n_kv_heads), 100 * (1 - *most),
                                100 * (1 - *least)));
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

}  // namespace

std::vector<std::vector<GapLosses>> measure_gaps(const ProfileData& data,
                                                 const ProfileData& budgets, double min_keep) {
  if (!data.has_losses) {
    throw InputError("the gap report needs the loss curves: `losses: true` in the configuration");
  }
  std::vector<std::vector<GapLosses>> gaps;
  for (const ScorerProfile& scorer : data.scorers) {
    const Budgets learnt(budgets, same_scorer(scorer, data, budgets));
    std::vector<GapLosses>& mean = gaps.emplace_back(100 / kStep - 1);
    for (size_t i = 0; i < mean.size(); ++i) mean[i].ratio = ratio_of_row(i);
    const double weight = 1 / static_cast<double>(data.entries.size());
    for (size_t e = 0; e < data.entries.size(); ++e) {
      add_entry(scorer.curves[e], scorer, data.entries[e].n_tokens, min_keep, learnt, weight, mean);
    }
  }
  return gaps;
}

Grid gap_table(const std::string& title, const std::vector<GapLosses>& gap) {
  Grid grid;
  grid.title = title;
  grid.columns = {{"ratio"},
                  {"J0 hull"},
                  {"J1 oracle"},
                  {"J2 oracle uniform"},
                  {"J3 uniform"},
                  {"J4 greedy"},
                  {"J5 exact"},
                  {"J6 profile"},
                  {"J6 curves"},
                  {"J6 online"},
                  {"ranking J5-J1"},
                  {"convexification J4-J5"},
                  {"transfer J6-J4"},
                  {"allocation gain J3-J5"},
                  {"ranking gain J3-J2"}};
  for (const GapLosses& row : gap) {
    std::vector<std::string> cells = {fmt::format("{:.1f}", row.ratio)};
    for (const double share :
         {row.hull, row.oracle, row.oracle_uniform, row.uniform, row.greedy, row.exact, row.profile,
          row.curves, row.online, row.exact - row.oracle, row.greedy - row.exact,
          row.profile - row.greedy, row.uniform - row.exact, row.uniform - row.oracle_uniform}) {
      cells.push_back(percent(share));
    }
    grid.rows.push_back(std::move(cells));
  }
  return grid;
}

std::vector<Grid> profile_tables(const ProfileData& data) {
  std::vector<Grid> grids;
  for (const ScorerProfile& scorer : data.scorers) {
    if (!scorer.gap.empty()) {
      grids.push_back(gap_table(fmt::format("{}: loss in % of all importance, mean of {} questions",
                                            scorer.name, data.entries.size()),
                                scorer.gap));
    }
    grids.push_back(budget_table(data, scorer));
  }
  return grids;
}

}  // namespace kvbench
