#include "harness/results/stats.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>

#include "harness/results/intervals.h"

namespace kvbench {
namespace {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? NAN : sum / static_cast<double>(values.size());
}

struct Samples {
  Stratum scores;
  std::vector<double> exact, kept_ratio, full, logical, allocated;
  std::vector<double> prefill_ms, score_ms, compact_ms, decode_ms;
  int64_t errors = 0;

  void add(const SampleRow& row) {
    if (!row.error.empty()) {
      ++errors;
      return;
    }
    scores.values.push_back(row.score);
    scores.contexts.push_back(row.context_id);
    if (!std::isnan(row.exact)) exact.push_back(row.exact);
    kept_ratio.push_back(row.kept_ratio);
    full.push_back(static_cast<double>(row.kv_bytes_full));
    logical.push_back(static_cast<double>(row.kv_bytes_logical));
    allocated.push_back(static_cast<double>(row.kv_bytes_allocated));
    prefill_ms.push_back(row.prefill_ms);
    score_ms.push_back(row.score_ms);
    compact_ms.push_back(row.compact_ms);
    decode_ms.push_back(row.decode_ms);
  }
};

}  // namespace

double quantile(const std::vector<double>& sorted, double q) {
  const double rank = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (rank - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

double median(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return NAN;
  std::sort(values.begin(), values.end());
  return quantile(values, 0.5);
}

std::vector<CellRow> derive_cells(const std::vector<CellRow>& cells,
                                  const std::vector<SampleRow>& rows) {
  std::map<std::string, Samples> by_cell;
  for (const auto& row : rows) by_cell[row.cell_id].add(row);
  std::vector<CellRow> derived = cells;
  for (CellRow& cell : derived) {
    const Samples& samples = by_cell[cell.cell_id];
    const Interval score = score_interval(estimate_mean({samples.scores}));
    const std::set<std::string> contexts(samples.scores.contexts.begin(),
                                         samples.scores.contexts.end());
    cell.n = static_cast<int64_t>(samples.scores.values.size());
    cell.n_contexts = static_cast<int64_t>(contexts.size());
    cell.n_errors = samples.errors;
    cell.mean = score.mean;
    cell.ci_low = score.low;
    cell.ci_high = score.high;
    cell.exact = mean_of(samples.exact);
    cell.kept_ratio = mean_of(samples.kept_ratio);
    cell.kv_bytes_full = mean_of(samples.full);
    cell.kv_bytes_logical = mean_of(samples.logical);
    cell.kv_bytes_allocated = mean_of(samples.allocated);
    cell.prefill_ms = median(samples.prefill_ms);
    cell.score_ms = median(samples.score_ms);
    cell.compact_ms = median(samples.compact_ms);
    cell.decode_ms = median(samples.decode_ms);
  }
  return derived;
}

}  // namespace kvbench
