#include "harness/report/comparison.h"

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <utility>

#include "harness/report/significance.h"

namespace kvbench {

Pairs pair_up(const Measured& mine, const Measured& theirs) {
  std::map<std::pair<std::string, int64_t>, double> others;
  for (const SampleRow& row : theirs.rows) {
    if (row.error.empty()) others[{row.sample_hash, row.sample_id}] = row.score;
  }
  Pairs pairs;
  for (const SampleRow& row : mine.rows) {
    const auto other = others.find({row.sample_hash, row.sample_id});
    if (!row.error.empty() || other == others.end()) continue;
    for (Stratum* stratum : {&pairs.scores, &pairs.differences}) {
      stratum->contexts.push_back(row.context_id);
    }
    pairs.scores.values.push_back(row.score);
    pairs.differences.values.push_back(row.score - other->second);
  }
  return pairs;
}

Comparison compare(const std::vector<Pairs>& tasks) {
  Comparison comparison;
  std::vector<Stratum> scores, differences;
  for (const Pairs& pairs : tasks) {
    if (pairs.scores.values.empty()) return {};
    scores.push_back(pairs.scores);
    differences.push_back(pairs.differences);
    comparison.n += std::ssize(pairs.scores.values);
    for (const double difference : pairs.differences.values) {
      comparison.wins += difference > 0 ? 1 : 0;
      comparison.ties += difference == 0 ? 1 : 0;
      comparison.losses += difference < 0 ? 1 : 0;
    }
  }
  std::vector<double> parts;
  for (const auto& [context, part] : context_parts(differences)) parts.push_back(part);
  comparison.n_contexts = std::ssize(parts);
  comparison.score = estimate_mean(scores).mean;
  comparison.difference = difference_interval(estimate_mean(differences));
  if (!parts.empty()) comparison.p = sign_flip_p(parts);
  return comparison;
}

void judge_family(std::vector<Comparison>& family) {
  std::vector<double> p;
  for (const Comparison& comparison : family) p.push_back(comparison.p);
  const std::vector<double> adjusted = holm(p);
  for (size_t i = 0; i < family.size(); ++i) {
    Comparison& comparison = family[i];
    comparison.p_holm = adjusted[i];
    if (comparison.n == 0) continue;
    constexpr double kFamilyLevel = 0.05;
    comparison.verdict = !(adjusted[i] < kFamilyLevel)    ? "cannot tell"
                         : comparison.difference.mean > 0 ? "better"
                                                          : "worse";
  }
}

std::string p_text(double p) {
  if (std::isnan(p)) return "";
  return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p);
}

}  // namespace kvbench
