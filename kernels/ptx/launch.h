// What the stand-in for the CUDA runtime asks of the engine.
#pragma once

#include <memory>
#include <string>

#include "kernels/ptx/machine.h"

namespace kvbench::ptx {

enum class LaunchResult { kOk, kUnknownKernel, kBadConfiguration, kBadPtx, kFailed };

// The state of the process: modules, kernels, device memory, findings.
class Engine {
 public:
  static Engine& get();

  // The PTX of a fat binary. Parsed when a kernel of it is first launched.
  int add_module(std::string_view ptx);
  // Device address of a module's variable, 0 = none of that name.
  uint64_t variable(int module, const std::string& name);

  LaunchResult launch(int module, const std::string& kernel, Dim grid, Dim block,
                      uint32_t dynamic_shared_bytes, uint32_t allowed_shared_bytes,
                      void** arguments);
  void finding(Finding f) { findings_.push_back(std::move(f)); }
  const Program* find(int module, const std::string& kernel);  // nullptr: finding made

  Arena& arena() { return arena_; }

  uint64_t n_launches = 0, n_synchronisations = 0;
  uint64_t read_hash = 0;

 private:
  friend std::vector<Finding> take_findings();
  friend std::vector<NamedCounters> all_counters();
  friend void reset_counters();
  friend std::vector<BarrierLine> barrier_lines();
  friend std::vector<std::string> kernels_not_run();
  friend void set_seed(uint64_t);
  friend void set_step_limit(uint64_t);

  struct Loaded {
    std::string text;
    std::shared_ptr<const Module> module;
    Symbols symbols;
    std::unordered_map<std::string, std::unique_ptr<Program>> programs;
  };

  Engine();
  Loaded& load(int module);
  Program& program(int module, const std::string& kernel);

  Arena arena_;
  std::vector<Loaded> modules_;
  std::vector<Finding> findings_;
  std::map<std::string, Counters> memory_counters_;  // by short name; launches, memory
  std::string drop_;
  uint64_t seed_ = 0, n_of_seed_ = 0;
  uint64_t step_limit_ = uint64_t{1} << 31;
  uint32_t next_access_ = 1, block_stamp_ = 0, launch_stamp_ = 0;
};

}  // namespace kvbench::ptx
