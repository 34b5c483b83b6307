#include "harness/report/risk_control.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/base/distributions.h"

namespace kvbench {
namespace {

double mean_of(const std::vector<double>& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

// Kullback-Leibler divergence of Bernoulli(a) from Bernoulli(b), b inside (0, 1).
double divergence(double a, double b) {
  const double hit = a > 0 ? a * std::log(a / b) : 0;
  const double miss = a < 1 ? (1 - a) * std::log((1 - a) / (1 - b)) : 0;
  return hit + miss;
}

}  // namespace

double hoeffding_bentkus_p(double mean, int64_t n, double risk) {
  if (n == 0 || !(mean < risk)) return 1;  // nan too
  const auto count = static_cast<double>(n);
  const double hoeffding = std::exp(-count * divergence(mean, risk));
  constexpr double kRounding = 1e-9;  // a sum of losses that is a whole number stays one
  const auto most = static_cast<int64_t>(std::ceil(count * mean - kRounding));
  const double bentkus = std::exp(1.0) * binomial_cdf(most, n, risk);
  return std::min({1.0, hoeffding, bentkus});
}

size_t learn_then_test(const Losses& losses, double risk, double confidence) {
  size_t certified = 0;
  while (certified < losses.size() && !losses[certified].empty() &&
         hoeffding_bentkus_p(mean_of(losses[certified]), std::ssize(losses[certified]), risk) <=
             1 - confidence) {
    ++certified;
  }
  return certified;
}

size_t conformal_risk_control(const Losses& losses, double risk) {
  size_t allowed = 0;
  for (; allowed < losses.size() && !losses[allowed].empty(); ++allowed) {
    const auto n = static_cast<double>(losses[allowed].size());
    if (!(n / (n + 1) * mean_of(losses[allowed]) + 1 / (n + 1) <= risk)) break;
  }
  return allowed;
}

int64_t contexts_to_test(double risk, double confidence) {
  return static_cast<int64_t>(std::ceil(std::log(1 - confidence) / std::log1p(-risk)));
}

int64_t contexts_to_conform(double risk) {
  return static_cast<int64_t>(std::ceil(1 / risk - 1 - 1e-9));
}

}  // namespace kvbench
