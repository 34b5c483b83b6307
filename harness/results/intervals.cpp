#include "harness/results/intervals.h"

#include <algorithm>
#include <compare>

#include "harness/base/distributions.h"
#include "harness/base/error.h"

namespace kvbench {
namespace {

// What was measured on one context, or on all.
struct Cluster {
  double sum = 0, count = 0;
};
using Clusters = std::map<std::string, Cluster>;  // by context

// A sum is the same whatever the order of the values was.
Clusters clusters_of(const Stratum& stratum) {
  KVB_CHECK(stratum.values.size() == stratum.contexts.size(), "{} values on {} contexts",
            stratum.values.size(), stratum.contexts.size());
  std::map<std::string, std::vector<double>> by_context;
  for (size_t i = 0; i < stratum.values.size(); ++i) {
    by_context[stratum.contexts[i]].push_back(stratum.values[i]);
  }
  Clusters clusters;
  for (auto& [context, values] : by_context) {
    std::sort(values.begin(), values.end(),  // an order for nan too, as a damaged file may hold it
              [](double a, double b) { return std::strong_order(a, b) < 0; });
    Cluster& cluster = clusters[context];
    for (const double value : values) cluster.sum += value;
    cluster.count = static_cast<double>(values.size());
  }
  return clusters;
}

Cluster total_of(const Clusters& clusters) {
  Cluster all;
  for (const auto& [context, cluster] : clusters) {
    all.sum += cluster.sum;
    all.count += cluster.count;
  }
  return all;
}

// Part of a context in the mean over the strata: its weight, and how far it moves the mean.
struct Unit {
  double weight = 0, influence = 0;
};

double t95(double df) { return student_t_quantile(0.975, df); }

constexpr double kRounding = 1e-9;  // points; a smaller standard error is rounding

// Of contexts that all say the same.
Interval interval_of_equals(const Estimate& estimate, double least, double most) {
  const double t = t95(estimate.df), unseen = t * t / (estimate.size + t * t);
  const double mean = std::clamp(estimate.mean, least, most);
  return {estimate.mean, mean - unseen * (mean - least), mean + unseen * (most - mean)};
}

}  // namespace

Estimate estimate_mean(const std::vector<Stratum>& strata) {
  Estimate estimate;
  estimate.mean = strata.empty() ? NAN : 0;
  const auto n_strata = static_cast<double>(strata.size());
  std::map<std::string, Unit> units;
  double variances = 0, over_df = 0, all_df = 0;
  bool has_variance = true;
  for (const Stratum& stratum : strata) {
    const Clusters clusters = clusters_of(stratum);
    const Cluster all = total_of(clusters);
    const double mean = all.sum / all.count;  // nan without clusters
    const auto df = static_cast<double>(clusters.size()) - 1;
    estimate.mean += mean / n_strata;
    has_variance &= df > 0;
    double variance = 0;
    for (const auto& [context, cluster] : clusters) {
      const double influence =
          std::sqrt((df + 1) / df) * (cluster.sum - mean * cluster.count) / (all.count * n_strata);
      Unit& unit = units[context];
      unit.weight += cluster.count / (all.count * n_strata);
      unit.influence += influence;
      variance += influence * influence;
    }
    variances += variance;
    over_df += variance * variance / df;
    all_df += df;
  }
  if (!has_variance || std::isnan(estimate.mean)) return estimate;
  double squares = 0;
  estimate.variance = 0;
  for (const auto& [context, unit] : units) {
    estimate.variance += unit.influence * unit.influence;
    squares += unit.weight * unit.weight;
  }
  estimate.size = 1 / squares;
  const double satterthwaite = over_df > 0 ? variances * variances / over_df : all_df;
  estimate.df = std::min(satterthwaite, static_cast<double>(units.size()) - 1);
  return estimate;
}

std::map<std::string, double> context_parts(const std::vector<Stratum>& strata) {
  std::map<std::string, double> parts;
  for (const Stratum& stratum : strata) {
    const Clusters clusters = clusters_of(stratum);
    const double n = total_of(clusters).count * static_cast<double>(strata.size());
    for (const auto& [context, cluster] : clusters) parts[context] += cluster.sum / n;
  }
  return parts;
}

Interval score_interval(const Estimate& estimate) {
  if (std::isnan(estimate.variance)) return {estimate.mean, NAN, NAN};
  const double p = estimate.mean / 100, spread = std::sqrt(estimate.variance);
  if (spread < kRounding || p <= 0 || p >= 1) return interval_of_equals(estimate, 0, 100);
  const double t = t95(estimate.df);
  // (p - true)^2 = t^2 true (1 - true) / n, solved for the true share; k = t^2 / n.
  const double k = t * t * (estimate.variance / 1e4) / (p * (1 - p));
  const double centre = (p + k / 2) / (1 + k);
  const double half = std::sqrt(k * p * (1 - p) + k * k / 4) / (1 + k);
  return {estimate.mean, 100 * (centre - half), 100 * (centre + half)};
}

Interval difference_interval(const Estimate& estimate) {
  if (std::isnan(estimate.variance)) return {estimate.mean, NAN, NAN};
  const double spread = std::sqrt(estimate.variance);
  if (spread < kRounding) return interval_of_equals(estimate, -100, 100);
  const double half = t95(estimate.df) * spread;
  return {estimate.mean, std::max(-100.0, estimate.mean - half),
          std::min(100.0, estimate.mean + half)};
}

}  // namespace kvbench
