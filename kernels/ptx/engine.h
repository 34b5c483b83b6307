// What tests ask of the PTX engine: findings, counters, launches.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench::ptx {

// A defect that the engine saw. Alike ones of a launch are one finding with a count.
struct Finding {
  std::string check;   // "race in a block", "out of bounds", ...
  std::string kernel;  // short name
  std::string place;   // "kernels/x.cuh:12 called at kernels/y_cuda.cu:34" of the later access
  std::string instruction;
  std::string other_place, other_instruction;  // of the earlier access, empty = none
  std::string detail;                          // who and what: block, thread, byte
  uint64_t count = 0;

  std::string text() const;
};

// Findings since the last call, oldest first.
std::vector<Finding> take_findings();

struct MemoryCounters {
  uint64_t requests = 0;                 // of warps
  uint64_t asked_bytes = 0;              // lanes times width
  uint64_t sectors = 0;                  // distinct 32-byte sectors of each request, summed
  uint64_t block_distinct_sectors = 0;   // distinct in each block, summed
  uint64_t launch_distinct_sectors = 0;  // distinct in each launch, summed
};

struct Counters {
  uint64_t launches = 0;
  uint64_t warp_instructions = 0, thread_instructions = 0;
  uint64_t flops = 0, special_functions = 0, shuffles = 0, barriers = 0, atomics = 0;  // of threads
  MemoryCounters loads, stores;  // global memory; an atomic operation counts as both
  uint64_t shared_requests = 0, shared_wavefronts = 0, shared_ideal_wavefronts = 0;

  void operator+=(const Counters& other);
};

struct NamedCounters {
  std::string kernel;
  Counters counters;
};

// Of the kernels whose short name contains `kernel`, since the last reset.
Counters counters(std::string_view kernel);
std::vector<NamedCounters> all_counters();
void reset_counters();

// Since the process started: kernels launched, and calls that wait for the device.
uint64_t launches();
uint64_t synchronisations();

// A source line of the modules with barriers: bar.sync, bar.warp.sync, waits of cp.async. With
// KVBENCH_PTX_DROP=PLACE in the environment those of that line are left out.
struct BarrierLine {
  std::string place;
  uint64_t executed = 0;  // by warps, since the process started
};
std::vector<BarrierLine> barrier_lines();

// Kernels of all modules that have not run since the last reset, by their mangled names.
std::vector<std::string> kernels_not_run();

// A hash of all bytes that were copied from the device to the host since the last call.
uint64_t take_read_hash();

// The order of blocks and warps depends on it and on the number of the launch since it was set.
void set_seed(uint64_t seed);

// A launch of more thread steps than that is found to have no end.
void set_step_limit(uint64_t steps);

// All counters as JSON, a line a kernel.
std::string counters_json();

}  // namespace kvbench::ptx
