#include "tasks/longbench/scores.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "harness/base/error.h"

namespace kvbench::longbench {
namespace {

// numpy's sum of n doubles: eight partial sums a block of up to 128, halves above that
// (numpy/_core/src/umath/loops_utils.h.src, pairwise_sum).
double numpy_sum(const double* a, size_t n) {
  if (n < 8) return std::accumulate(a, a + n, 0.0);
  if (n > 128) {
    const size_t half = n / 2 - n / 2 % 8;
    return numpy_sum(a, half) + numpy_sum(a + half, n - half);
  }
  std::array<double, 8> r;
  std::copy_n(a, 8, r.begin());
  size_t i = 8;
  for (; i + 8 <= n; i += 8) {
    for (size_t k = 0; k < 8; ++k) r[k] += a[i + k];
  }
  const double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  return std::accumulate(a + i, a + n, sum);
}

using IsOf = std::function<bool(const LongBenchSet&)>;

// nullopt when there is none or a score is missing.
std::optional<double> mean(const std::map<std::string, double>& scores,
                           const std::vector<LongBenchSet>& sets, const IsOf& is_of) {
  double sum = 0;
  int64_t count = 0;
  for (const LongBenchSet& set : sets) {
    if (!is_of(set)) continue;
    const auto it = scores.find(set.name);
    if (it == scores.end()) return std::nullopt;
    sum += it->second;
    ++count;
  }
  return count == 0 ? std::nullopt : std::optional(sum / static_cast<double>(count));
}

std::optional<double> mean_of_categories(const std::map<std::string, double>& scores,
                                         const std::vector<LongBenchSet>& sets,
                                         const std::string& language) {
  double sum = 0;
  for (const std::string& category : category_names()) {
    const auto score = mean(scores, sets, [&](const LongBenchSet& set) {
      return set.category == category && (set.language == language || set.language == "code");
    });
    if (!score) return std::nullopt;
    sum += *score;
  }
  return sum / static_cast<double>(category_names().size());
}

}  // namespace

double set_score(const std::vector<double>& shares) {
  if (shares.empty()) throw_input_error("there are no items to score");
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  const double percent = 100 * sum / static_cast<double>(shares.size());
  return std::stod(fmt::format("{:.2f}", percent));
}

size_t bucket_of(int64_t length) { return length < 4000 ? 0 : length < 8000 ? 1 : 2; }

std::array<std::optional<double>, 3> bucket_scores(const std::vector<double>& shares,
                                                   const std::vector<int64_t>& lengths) {
  KVB_CHECK(shares.size() == lengths.size(), "{} lengths for {} scores", lengths.size(),
            shares.size());
  std::array<std::vector<double>, 3> buckets;
  for (size_t i = 0; i < shares.size(); ++i) buckets[bucket_of(lengths[i])].push_back(shares[i]);
  std::array<std::optional<double>, 3> scores;
  for (size_t b = 0; b < buckets.size(); ++b) {
    const std::vector<double>& of = buckets[b];
    if (of.empty()) continue;
    const double percent = 100 * (numpy_sum(of.data(), of.size()) / static_cast<double>(of.size()));
    scores[b] = std::nearbyint(percent * 100) / 100;  // ties to even
  }
  return scores;
}

Averages averages(const std::map<std::string, double>& scores,
                  const std::vector<LongBenchSet>& sets) {
  return {mean(scores, sets, [](const LongBenchSet& set) { return set.paper; }),
          mean_of_categories(scores, sets, "en"), mean_of_categories(scores, sets, "zh")};
}

}  // namespace kvbench::longbench
