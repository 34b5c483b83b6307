// Isolated measurements: one policy alone, each layer cut as soon as it is prefilled, so that the
// peak holds one full layer and the cut ones before it.
#pragma once

#include <functional>
#include <vector>

#include "harness/config/sweep_config.h"
#include "harness/model/decoder.h"
#include "harness/results/rows.h"
#include "harness/sweep/cells.h"
#include "policies/policy.h"

namespace kvbench {

// What is run: a context as long as asked, out of the sweep's own texts, and a question.
struct LatencyInput {
  std::vector<int32_t> context, question;
  ContextFrame frame;
};

// The first `length` tokens of the contexts of `groups`, one after the other and from the start
// again when they do not suffice; the question and the frame of the first sample.
LatencyInput latency_input(const std::vector<SampleGroup>& groups, int64_t length);

// Throws InputError for a length that the model has no positions for or that a policy cannot rank:
// before the model is loaded. Oracles are not measured, as only a finished answer tells them what
// to keep.
void check_latency(const LatencySpec& spec, const std::vector<Policy>& policies,
                   const std::vector<SampleGroup>& groups, const ModelConfig& model,
                   int64_t n_around);

// Puts repeats of every policy at every ratio and length of `spec` into the store, round by round
// in turn, so that a drift of the machine hits all alike; warm-up rounds come first and are not
// kept. Repeats that the store holds are not measured again. A measurement that fails is a row with
// its error. `identity` goes into the cell ids. Times are wall times, the device's queue drained.
// Returns false when `stop` (empty = never) said so before a round.
bool measure_latency(const Decoder& model, const LatencySpec& spec,
                     const std::vector<Policy>& policies, const std::vector<double>& ratios,
                     const std::vector<SampleGroup>& groups, const std::string& identity,
                     ResultsStore& store, const std::function<bool()>& stop);

// True when the store holds all of it.
bool is_measured(const LatencySpec& spec, const std::vector<Policy>& policies,
                 const std::vector<double>& ratios, const std::string& identity,
                 const ResultsStore& store);

}  // namespace kvbench
