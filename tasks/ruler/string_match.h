// RULER's two metrics: is the reference in the prediction? (RULER
// scripts/eval/synthetic/constants.py)
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kvbench::ruler {

// What happens to U+0000..U+001F inside a prediction.
enum class ControlCharacters {
  kNewline,  // RULER scripts/eval/evaluate.py: each becomes a newline
  kRemoved,  // kvpress: "12<tab>34" then holds 1234
};

struct StringMatch {
  std::string name;
  bool any;  // one reference found is enough (part); else the share of references found (all)
  ControlCharacters control;
};

// string_match_all, string_match_part and the two as kvpress computes them (..._kvpress).
const std::vector<StringMatch>& string_match_metrics();

// Throws InputError with near matches.
const StringMatch& find_string_match(const std::string& metric);

// The prediction as the metric sees it: stripped, control characters handled, stripped again.
// Bytes that are not UTF-8 become U+FFFD.
std::string clean_prediction(ControlCharacters control, const std::string& prediction);

// 0..1. A hit: the lower-cased reference is a part of the lower-cased clean prediction (full
// Unicode lower-casing, root locale). References are not cleaned; an empty one always hits, a
// repeated one counts each time. `references` is not empty.
double hit_share(const StringMatch& metric, const std::string& prediction,
                 const std::vector<std::string>& references);

struct GradedSample {
  std::string prediction;
  std::vector<std::string> references;
};

// The score of a whole task as RULER reports it: mean * 100, two decimals, correctly rounded from
// the binary value (Python's round and C's "%.2f" agree). Throws InputError for an unknown metric,
// no samples, or a sample without references: the official code divides by zero there.
std::string task_score(const std::string& metric, const std::vector<GradedSample>& samples);

// Share of predictions that are empty once cleaned, as RULER prints it: "3/4".
std::string empty_predictions(const std::vector<GradedSample>& samples);

}  // namespace kvbench::ruler
