// Isolated measurements (measurement.h) of a sweep's policies: which, in which order, and which are
// there already.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/config/sweep_config.h"
#include "harness/model/open_model.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/measurement.h"
#include "policies/policy.h"

namespace kvbench {

// The first `length` tokens of the contexts of `groups`, one after the other and from the start
// again when they do not suffice; the question and the frame of the first sample.
LatencyInput latency_input(const std::vector<SampleGroup>& groups, int64_t length);

// Throws InputError for a length that the model has no positions for or that a policy cannot rank:
// before the model is loaded. Oracles are not measured, as only a finished answer tells them what
// to keep.
void check_latency(const LatencySpec& spec, const std::vector<Policy>& policies,
                   const std::vector<SampleGroup>& groups, const ModelConfig& model,
                   int64_t n_around);

// What is measured: the policies of `config`, made, on `model`. `identity` goes into cell ids.
struct LatencyPlan {
  const SweepConfig& config;  // has `latency`
  const std::vector<Policy>& policies;
  const OpenModel& model;
  std::string identity;
};

// Puts repeats of every policy at every ratio, length and batch into the store, each as soon as it
// is made, round by round: all cells in turn, then the next repeat of each, so that a drift of the
// machine hits all alike. Repeats that the store holds are not measured again. Each is a process of
// its own, so no model should be loaded here meanwhile. One that fails is a row with its error, but
// not one that failed while `stop` (empty = never) says that it is to end. Returns false when that
// said so before a measurement or during it.
bool measure_latency(const LatencyPlan& plan, const std::vector<SampleGroup>& groups,
                     ResultsStore& store, const std::function<bool()>& stop);

// True when the store holds all of it.
bool is_measured(const LatencyPlan& plan, const ResultsStore& store);

}  // namespace kvbench
