#include "harness/report/significance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "harness/base/random.h"

namespace kvbench {
namespace {

constexpr size_t kMostExact = 14;
constexpr uint64_t kDraws = 19999;
constexpr uint64_t kSeed = 95;

// The sum of eight parts for each choice of their signs: bit i set = part i is turned.
using Sums = std::array<double, 256>;

std::vector<Sums> sums_of(const std::vector<double>& parts) {
  std::vector<Sums> tables((parts.size() + 7) / 8, Sums{});
  for (size_t i = 0; i < parts.size(); ++i) {
    for (size_t signs = 0; signs < 256; ++signs) {
      tables[i / 8][signs] += (signs >> (i % 8) & 1) != 0 ? -parts[i] : parts[i];
    }
  }
  return tables;
}

}  // namespace

double sign_flip_p(const std::vector<double>& parts) {
  std::vector<double> moving;
  double most = 0;  // what a sum can be at most
  for (const double part : parts) {
    if (part != 0) moving.push_back(part);
    most += std::abs(part);
  }
  if (!std::isfinite(most)) return NAN;
  if (moving.empty()) return 1;
  std::sort(moving.begin(), moving.end());  // whatever the contexts are called
  const std::vector<Sums> tables = sums_of(moving);
  const double observed = std::abs(std::accumulate(moving.begin(), moving.end(), 0.0));
  const double reached = observed - 1e-12 * most;  // equal sums may be rounded differently
  uint64_t n_far = 0;
  if (moving.size() <= kMostExact) {
    const uint64_t n_choices = uint64_t{1} << moving.size();
    for (uint64_t signs = 0; signs < n_choices; ++signs) {
      double sum = tables[0][signs & 255];
      if (tables.size() > 1) sum += tables[1][signs >> 8];
      n_far += std::abs(sum) >= reached ? 1 : 0;
    }
    return static_cast<double>(n_far) / static_cast<double>(n_choices);
  }
  Random random(kSeed);
  for (uint64_t draw = 0; draw < kDraws; ++draw) {
    double sum = 0;
    uint64_t signs = 0;
    for (size_t i = 0; i < tables.size(); ++i, signs >>= 8) {
      if (i % 8 == 0) signs = random.next();
      sum += tables[i][signs & 255];
    }
    n_far += std::abs(sum) >= reached ? 1 : 0;
  }
  return static_cast<double>(1 + n_far) / static_cast<double>(1 + kDraws);
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size(), NAN);
  double last = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const auto n_left = static_cast<double>(order.size() - rank);
    last = std::max(last, std::min(1.0, n_left * p[order[rank]]));
    adjusted[order[rank]] = last;
  }
  return adjusted;
}

}  // namespace kvbench
