// What a sweep will cost: counted from its plan, and timed on a piece of it.
#pragma once

#include <cstdint>
#include <string>

#include "harness/model/decoder.h"
#include "harness/model/open_model.h"
#include "harness/sweep/plan.h"

namespace kvbench {

// Lengths of contexts are about_tokens(); answers are taken to be as long as they may be, and all
// questions and answers of a group like its first.
struct SweepCost {
  int64_t n_contexts = 0, n_answers = 0;
  int64_t longest_context = 0;                     // tokens
  int64_t prefill_tokens = 0;                      // policies that prefill by themselves included,
                                                   // and what scorers read again
  int64_t question_tokens = 0, answer_tokens = 0;  // over all cells
  int64_t weight_bytes = 0, cache_bytes = 0;       // caches: all cells of the longest context
  int64_t file_bytes = 0;                          // of the results file
};

// Of this shard's part. Reads no weights.
SweepCost cost_of(const SweepPlan& plan, const OpenModel& model);

// A few lines for people.
std::string cost_text(const SweepCost& cost);

// Milliseconds by a context's length T in tokens: linear * T + square * T^2, and base + slope * T
// for the question's pass and a decode step over the caches of all cells.
struct Calibration {
  struct Line {
    double base = 0, slope = 0;
    double at(double tokens) const { return base + slope * tokens; }
  };
  int64_t short_tokens = 0, long_tokens = 0;  // contexts that were timed
  double linear = 0, square = 0;
  Line question, step;
};

// Compresses two contexts of the sweep's own texts, at most 256 and 1024 tokens where no policy
// needs more, for all cells that need no answer, and decodes eight tokens of each, after a warm-up.
Calibration calibrate(const Decoder& model, const SweepPlan& plan, const SweepCost& cost);

// The hours that the plan takes at that speed, and what was assumed.
std::string calibration_text(const Calibration& speed, const SweepPlan& plan);

}  // namespace kvbench
