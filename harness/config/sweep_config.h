// One sweep: what `run CONFIG.yaml` reads. Settings that are absent hold their defaults.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/yaml.h"
#include "harness/config/chat_template_use.h"
#include "harness/config/model_spec.h"
#include "harness/config/policy_yaml.h"
#include "tasks/task.h"

namespace kvbench {

// One task of a `tasks:` entry: samples either generated, at each of `lengths`, or read from
// `file`. An entry that names a group (tasks_of()) makes one for each of its tasks.
struct TaskSpec {
  std::string task;                    // a name of task_names()
  std::filesystem::path described_in;  // a user's own description of it; empty = one of ours
  std::vector<int64_t> lengths;        // tokens; empty with a file
  // Exists; empty when generated. Given as `file`, as the task's file in `folder`, or in a data set
  // by name (`data`), which LongBench's tasks have where nothing is said.
  std::filesystem::path file;
  std::string file_as_written;
  int64_t samples = 0;  // per length; 0 = all of the file
  uint64_t seed = 42;
  std::string protocol;        // one of Task::protocols()
  int64_t max_length = 0;      // tokens of a prompt above which the protocol cuts; 0 = as it says
  bool answer_prefix = true;   // false: RULER without, as its official runs of 2025
  bool second_bos = false;     // `bos: twice`
  int64_t max_new_tokens = 0;  // 0 = as the task says
  Sampling sampling;
  int64_t rollouts = 1;
  std::string origin;  // where the entry stands
  int line = 0;

  // One for each length, or the one of the file.
  std::vector<TaskRequest> requests() const;
};

// Isolated measurements.
struct LatencySpec {
  int64_t repeats = 5, warmup = 1;
  std::vector<int64_t> lengths;  // tokens of context
  int64_t decode_tokens = 64;
  std::vector<int64_t> batch = {1};  // sequences that decode together; each is measured
};

struct SweepConfig {
  std::string name;
  ModelSpec model;
  std::string device = "auto";                      // device_word.h
  std::vector<std::string> compress = {"context"};  // context, prompt; each is run
  ChatTemplateUse chat_template = ChatTemplateUse::kYes;
  std::vector<TaskSpec> tasks;
  std::vector<PolicySpec> policies;  // labels differ
  std::vector<double> ratios;        // share of KV entries removed, [0, 1), all different
  std::optional<LatencySpec> latency;
  bool fidelity = false;
  bool likelihood = false;
  std::vector<std::filesystem::path> plugins;  // shared libraries that register policies' parts
  int64_t threads = 0;                         // 0 = all cores
  int64_t memory = 0;                          // bytes for keys and values; 0 = of what is free
  std::filesystem::path output;                // results/NAME.h5 unless given
  std::string origin;                          // the file it was read from
};

// Reads a sweep with its includes and `--set` texts. A path is relative to the YAML file in which
// it stands, those of `sets` to the working folder (base/paths.h). Without `output` the file is
// results/NAME.h5 in the working folder.
// Throws InputError: one line with file, line, what was expected, and near matches.
SweepConfig load_sweep(const std::filesystem::path& file,
                       const std::vector<std::string>& sets = {});

SweepConfig parse_sweep(const YamlNode& root);

// Canonical text of every setting that determines results, as YAML that parse_sweep reads back:
// one line for each task and length, policy and ratio. Not in it: output, threads and memory.
std::string resolved_yaml(const SweepConfig& config);

}  // namespace kvbench
