#include "harness/profile/gap_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/gap.h"
#include "policies/lukv/profile_counts.h"

namespace kvbench {
namespace {

constexpr int64_t kStep = 10;            // percent between rows
constexpr double kMostExactWork = 1e10;  // steps of a dynamic programme, some seconds

// J0 to J6.
constexpr double lukv::Gap::*kLosses[] = {
    &lukv::Gap::hull_objective,    &lukv::Gap::oracle_optimal,   &lukv::Gap::oracle_uniform,
    &lukv::Gap::heuristic_uniform, &lukv::Gap::heuristic_greedy, &lukv::Gap::heuristic_exact,
    &lukv::Gap::heuristic_profile};

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

// One entry's losses at 10, 20, ... 90 %, as shares of its total importance.
std::vector<lukv::Gap> entry_gaps(const ScorerCurve& curve, const ScorerProfile& scorer,
                                  int64_t n_tokens, double min_keep,
                                  const h5::Array<double>& table) {
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
  auto gaps = lukv::gaps(curve.losses, max_discards, totals, work <= kMostExactWork);
  for (size_t i = 0; i < gaps.size(); ++i) {
    lukv::Gap& gap = gaps[i];
    gap.heuristic_profile = lukv::loss_of_keep_counts(
        curve.losses, profile_budget(table, ratio_of_row(i), n_tokens), n_tokens);
    if (gap.total == 0) continue;  // nothing mattered: all losses are 0
    for (double* loss :
         {&gap.hull_objective, &gap.oracle_optimal, &gap.oracle_uniform, &gap.heuristic_uniform,
          &gap.heuristic_greedy, &gap.heuristic_exact, &gap.heuristic_profile}) {
      *loss /= gap.total;
    }
  }
  return gaps;
}

std::string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.3f}", 100 * share);
}

Grid scorer_table(const ProfileData& data, const ScorerProfile& scorer, double min_keep) {
  const AveragedCurves averaged = average(data, scorer);
  const auto n_entries = static_cast<double>(data.entries.size());
  std::vector<lukv::Gap> mean(100 / kStep - 1);
  for (size_t e = 0; e < data.entries.size(); ++e) {
    const auto gaps =
        entry_gaps(scorer.curves[e], scorer, data.entries[e].n_tokens, min_keep, averaged.table);
    for (size_t i = 0; i < gaps.size(); ++i) {
      for (const auto loss : kLosses) mean[i].*loss += gaps[i].*loss / n_entries;
    }
  }
  Grid grid;
  grid.title = fmt::format("{}: loss in % of all importance, mean of {} questions", scorer.name,
                           data.entries.size());
  grid.columns = {{"ratio"},
                  {"J0 hull"},
                  {"J1 oracle"},
                  {"J2 oracle uniform"},
                  {"J3 uniform"},
                  {"J4 greedy"},
                  {"J5 exact"},
                  {"J6 profile"},
                  {"ranking J5-J1"},
                  {"convexification J4-J5"},
                  {"transfer J6-J4"},
                  {"allocation gain J3-J5"},
                  {"ranking gain J3-J2"}};
  for (size_t i = 0; i < mean.size(); ++i) {
    const lukv::Gap& gap = mean[i];
    std::vector<std::string> row = {fmt::format("{:.1f}", ratio_of_row(i))};
    for (const auto loss : kLosses) row.push_back(percent(gap.*loss));
    for (const double part : {gap.ranking(), gap.convexification(), gap.transfer(),
                              gap.allocation_gain(), gap.ranking_gain()}) {
      row.push_back(percent(part));
    }
    grid.rows.push_back(std::move(row));
  }
  return grid;
}

}  // namespace

std::vector<Grid> gap_report(const ProfileData& data, double min_keep) {
  if (!data.has_losses) {
    throw InputError("the gap report needs the loss curves: `losses: true` in the configuration");
  }
  std::vector<Grid> grids;
  for (const auto& scorer : data.scorers) grids.push_back(scorer_table(data, scorer, min_keep));
  return grids;
}

}  // namespace kvbench
