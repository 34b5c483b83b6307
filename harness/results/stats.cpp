#include "harness/results/stats.h"

#include <algorithm>
#include <compare>
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

// What was measured on one context.
struct Cluster {
  double sum = 0, count = 0;
};

// In the order of the contexts' names; a sum is the same whatever the order of the values was.
std::vector<Cluster> clusters_of(const Stratum& stratum) {
  KVB_CHECK(stratum.values.size() == stratum.contexts.size(), "{} values on {} contexts",
            stratum.values.size(), stratum.contexts.size());
  std::map<std::string, std::vector<double>> by_context;
  for (size_t i = 0; i < stratum.values.size(); ++i) {
    by_context[stratum.contexts[i]].push_back(stratum.values[i]);
  }
  std::vector<Cluster> clusters;
  for (auto& [context, values] : by_context) {
    std::sort(values.begin(), values.end(),  // an order for nan too, as a damaged file may hold it
              [](double a, double b) { return std::strong_order(a, b) < 0; });
    Cluster& cluster = clusters.emplace_back();
    for (const double value : values) cluster.sum += value;
    cluster.count = static_cast<double>(values.size());
  }
  return clusters;
}

double mean_of(const std::vector<Cluster>& clusters) {
  Cluster all;
  for (const Cluster& cluster : clusters) {
    all.sum += cluster.sum;
    all.count += cluster.count;
  }
  return all.sum / all.count;  // nan without clusters
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

Interval stratified_mean(const std::vector<Stratum>& strata) {
  std::vector<std::vector<Cluster>> all;
  double mean = strata.empty() ? NAN : 0;
  bool has_interval = true;
  for (const Stratum& stratum : strata) {
    all.push_back(clusters_of(stratum));
    mean += mean_of(all.back()) / static_cast<double>(strata.size());
    has_interval &= all.back().size() > 1;
  }
  if (!has_interval || std::isnan(mean)) return {mean, NAN, NAN};

  Random random(kSeed);
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double resampled = 0;
    for (const auto& clusters : all) {
      Cluster drawn;
      for (size_t j = 0; j < clusters.size(); ++j) {
        const Cluster& cluster = clusters[random.below(clusters.size())];
        drawn.sum += cluster.sum;
        drawn.count += cluster.count;
      }
      resampled += drawn.sum / drawn.count / static_cast<double>(all.size());
    }
    means.push_back(resampled);
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
    const Interval score = stratified_mean({samples.scores});
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
