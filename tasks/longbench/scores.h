// From scores of items to the numbers of LongBench's tables (eval.py; kvpress's scorer where it
// differs). Rounding is Python's, to the last bit.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tasks/longbench/sets.h"

namespace kvbench::longbench {

// `shares`: scores of a set's items in the file's order, 0..1. Their mean in percent, two decimals:
// Python's round(). Throws InputError when there is none.
double set_score(const std::vector<double>& shares);

// LongBench-E's buckets, by `length` of the item.
inline constexpr std::array<const char*, 3> kBuckets = {"0-4k", "4-8k", "8k+"};
size_t bucket_of(int64_t length);

// Means of the buckets in percent as numpy computes and rounds them; nullopt for an empty bucket.
// `lengths`: one for each share.
std::array<std::optional<double>, 3> bucket_scores(const std::vector<double>& shares,
                                                   const std::vector<int64_t>& lengths);

// Means over set scores, not rounded; nullopt where a set that belongs to them is missing.
struct Averages {
  std::optional<double> avg_16;             // of the 16 sets that papers report
  std::optional<double> avg_categories;     // of the six category means, English and code
  std::optional<double> avg_categories_zh;  // the same, Chinese and code
};
// `scores`: by name of the set.
Averages averages(const std::map<std::string, double>& scores,
                  const std::vector<LongBenchSet>& sets);

}  // namespace kvbench::longbench
