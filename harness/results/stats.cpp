#include "harness/results/stats.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "harness/base/error.h"
#include "harness/base/random.h"

namespace kvbench {
namespace {

constexpr int kResamples = 2000;
constexpr uint64_t kSeed = 95;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? NAN : sum / static_cast<double>(values.size());
}

struct Samples {
  std::vector<double> scores, kept_ratio, full, logical, allocated;
  std::vector<double> prefill_ms, score_ms, compact_ms, decode_ms;
  std::vector<std::string> contexts;
  int64_t errors = 0, longest = 0;

  void add(const SampleRow& row) {
    longest = std::max(longest, row.max_length);
    if (!row.error.empty()) {
      ++errors;
      return;
    }
    scores.push_back(row.score);
    // Files of earlier versions do not know the context: each sample has its own there.
    contexts.push_back(row.context_id.empty() ? fmt::format("{}", row.sample_id) : row.context_id);
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

Interval clustered_mean(std::span<const double> values, std::span<const std::string> clusters) {
  KVB_CHECK(values.size() == clusters.size(), "{} values of {} clusters", values.size(),
            clusters.size());
  struct Cluster {
    std::vector<double> values;
    double sum = 0;
  };
  std::map<std::string, Cluster> grouped;
  for (size_t i = 0; i < values.size(); ++i) grouped[clusters[i]].values.push_back(values[i]);
  std::vector<Cluster> all;
  double total = 0;
  for (auto& [id, cluster] : grouped) {
    std::sort(cluster.values.begin(), cluster.values.end());  // one sum whatever the order was
    for (const double value : cluster.values) cluster.sum += value;
    total += cluster.sum;
    all.push_back(std::move(cluster));
  }
  const double mean = values.empty() ? NAN : total / static_cast<double>(values.size());
  if (all.size() < 2 || std::isnan(mean)) return {mean, NAN, NAN};

  Random random(kSeed);
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    size_t count = 0;
    for (size_t j = 0; j < all.size(); ++j) {
      const Cluster& drawn = all[random.below(all.size())];
      sum += drawn.sum;
      count += drawn.values.size();
    }
    means.push_back(sum / static_cast<double>(count));
  }
  std::sort(means.begin(), means.end());
  return {mean, quantile(means, 0.025), quantile(means, 0.975)};
}

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
    if (samples.longest > 0) cell.max_length = samples.longest;
    const Interval score = clustered_mean(samples.scores, samples.contexts);
    cell.n = static_cast<int64_t>(samples.scores.size());
    cell.n_errors = samples.errors;
    cell.n_contexts = static_cast<int64_t>(
        std::set<std::string>(samples.contexts.begin(), samples.contexts.end()).size());
    cell.mean = score.mean;
    cell.ci_low = score.low;
    cell.ci_high = score.high;
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
