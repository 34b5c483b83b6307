#include "harness/results/intervals.h"

#include <algorithm>
#include <compare>
#include <limits>

#include "harness/base/distributions.h"
#include "harness/base/error.h"

namespace kvbench {
namespace {

// What was measured on one context, or on all.
struct Cluster {
  double sum = 0, magnitude = 0, count = 0;
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
    for (const double value : values) {
      cluster.sum += value;
      cluster.magnitude += std::abs(value);
    }
    cluster.count = static_cast<double>(values.size());
  }
  return clusters;
}

Cluster total_of(const Clusters& clusters) {
  Cluster all;
  for (const auto& [context, cluster] : clusters) {
    all.sum += cluster.sum;
    all.magnitude += cluster.magnitude;
    all.count += cluster.count;
  }
  return all;
}

// Part of a context in the mean over the strata: its weight, and how far it moves the mean.
struct Unit {
  double weight = 0, influence = 0;
};

// Of the clusters' means those that are not the most frequent one.
double n_varied(const Clusters& clusters) {
  std::vector<double> means;
  for (const auto& [context, cluster] : clusters) means.push_back(cluster.sum / cluster.count);
  std::sort(means.begin(), means.end());
  constexpr double kRounding = 1e-9;  // points
  size_t most = 0, run = 0;
  for (size_t i = 0; i < means.size(); ++i) {
    run = i > 0 && means[i] - means[i - 1] < kRounding ? run + 1 : 1;
    most = std::max(most, run);
  }
  return static_cast<double>(means.size() - most);
}

// t^2 / n of the effective size n; `unit` is the variance of one answer, in units of the range.
double squared_t_over_n(const Estimate& estimate, double unit) {
  const double known = estimate.n_varied * estimate.n_varied;
  const double seen = unit > 0 && known > 0 ? estimate.variance / 1e4 / unit : 0;
  const double over_n = (known * seen + 1 / estimate.size) / (known + 1);
  const double t = student_t_quantile(0.975, 3 * estimate.df);
  return t * t * over_n;
}

// The variance of one difference whose mean is `mean`, where `gains` and `losses` were seen:
// Tango's constrained maximum of likelihood.
double tango_variance(double gains, double losses, double mean) {
  const double b = -gains - losses + (2 - gains + losses) * mean;
  const double c = -losses * mean * (1 - mean);
  const double lost = (std::sqrt(std::max(0.0, b * b - 8 * c)) - b) / 4;
  return std::max(0.0, 2 * lost + mean * (1 - mean));
}

}  // namespace

Estimate estimate_mean(const std::vector<Stratum>& strata) {
  Estimate estimate;
  estimate.mean = estimate.magnitude = strata.empty() ? NAN : 0;
  const auto n_strata = static_cast<double>(strata.size());
  std::map<std::string, Unit> units;
  double variances = 0, over_df = 0, all_df = 0, varied = 0;
  bool has_variance = true;
  for (const Stratum& stratum : strata) {
    const Clusters clusters = clusters_of(stratum);
    const Cluster all = total_of(clusters);
    const double mean = all.sum / all.count;  // nan without clusters
    const auto df = static_cast<double>(clusters.size()) - 1;
    estimate.mean += mean / n_strata;
    estimate.magnitude += all.magnitude / (all.count * n_strata);
    varied += n_varied(clusters);
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
  const double satterthwaite = over_df > 0 ? variances * variances / over_df : all_df;
  // Not finite: of one context, or of numbers that only a damaged file holds.
  if (!has_variance || !std::isfinite(estimate.mean + satterthwaite)) return estimate;
  double squares = 0;
  estimate.variance = 0;
  for (const auto& [context, unit] : units) {
    estimate.variance += unit.influence * unit.influence;
    squares += unit.weight * unit.weight;
  }
  estimate.size = 1 / squares;
  estimate.n_varied = varied;
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
  const double p = std::clamp(estimate.mean / 100, 0.0, 1.0);
  // (p - true)^2 = k true (1 - true), solved for the true share.
  const double k = squared_t_over_n(estimate, p * (1 - p));
  const double centre = (p + k / 2) / (1 + k);
  const double half = std::sqrt(k * p * (1 - p) + k * k / 4) / (1 + k);
  return {estimate.mean, 100 * std::max(0.0, centre - half),  // rounding
          100 * std::min(1.0, centre + half)};
}

Interval difference_interval(const Estimate& estimate) {
  if (std::isnan(estimate.variance)) return {estimate.mean, NAN, NAN};
  const double d = std::clamp(estimate.mean / 100, -1.0, 1.0);
  const double magnitude = std::clamp(estimate.magnitude / 100, std::abs(d), 1.0);
  const double gains = (magnitude + d) / 2, losses = (magnitude - d) / 2;
  const double k = squared_t_over_n(estimate, magnitude - d * d);
  // The farthest true difference towards `edge` with (d - true)^2 <= k variance(true), by halving.
  const auto limit = [&](double edge) {
    double inside = d, outside = edge;
    for (int i = 0; i < std::numeric_limits<double>::digits; ++i) {
      const double middle = (inside + outside) / 2;
      const double distance = (d - middle) * (d - middle);
      (distance <= k * tango_variance(gains, losses, middle) ? inside : outside) = middle;
    }
    return 100 * inside;
  };
  return {estimate.mean, limit(-1), limit(1)};
}

}  // namespace kvbench
