// One isolated measurement: one policy alone, each layer cut as soon as it is prefilled, so that
// the peak holds one full layer and the cut ones before it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/results/rows.h"
#include "policies/policy_spec.h"

namespace kvbench {

// What is run: a context as long as asked, out of the sweep's own texts, and a question.
struct LatencyInput {
  std::vector<int32_t> context, question;
  int64_t n_head = 0;         // as a ContextFrame's
  std::vector<int32_t> tail;  // likewise
};

// Everything that a process needs to know to make one.
struct Measurement {
  std::string model;                 // the folder
  std::string dtype;                 // float32, bfloat16 or float16
  std::string device;                // "cpu", "cuda:0"
  int64_t threads = 0;               // 0 = as LibTorch begins
  std::vector<std::string> plugins;  // shared libraries that register policies' parts
  PolicySpec policy;
  double ratio = 0;
  LatencyInput input;
  int64_t decode_tokens = 0;  // steps that are measured
  int64_t batch = 1;          // sequences that decode together, all with the same cache
  int64_t warmup = 0;         // whole passes before the one that counts
};

// Loads the model, reads memory for the floor, warms up, and measures. Sets what a row of /latency
// has of times, bytes and energy; who it is of is the caller's. Times are wall times of a monotonic
// clock, the device's queue drained. Throws whatever goes wrong.
LatencyRow measure(const Measurement& asked);

// The same in a process of its own, so that nothing of an earlier one is left: this program started
// anew by its verb `measure` (answer_measurement()). It ends when we do. Whatever goes wrong is the
// row's error, the process's end by a signal too.
LatencyRow measure_apart(const Measurement& asked);

// What that process does: `asked` is what measure_apart() writes. Returns what it reads.
std::string answer_measurement(const std::string& asked);

}  // namespace kvbench
