// What a results file says about the run that made it.
#pragma once

#include <string>
#include <type_traits>

#include "harness/base/hdf5.h"

namespace kvbench {

struct RunInfo {
  // Must be the same for a run to be resumed.
  std::string config;  // resolved configuration, YAML text
  std::string model_hash, tokenizer_hash;
  std::string data_hashes, profile_hashes;  // one "name hash" a line
  // Facts about this process; what changed on resume is noted in `sessions`.
  std::string git_commit, model, seeds, device, cpu_name, gpu_name;
  int64_t threads = 0;
  std::string versions;  // one "library version" a line
};

// Of results/README.md. Files of version 1 can be read, not extended.
inline constexpr int64_t kSchemaVersion = 2;

// The state of the file, kept by the store.
struct RunState {
  int64_t schema_version = kSchemaVersion;
  bool complete = false;
  std::string start_time, end_time;  // UTC, ISO 8601; end_time is empty until complete
  // One line for each process that worked on the file: its start, and what differs from the first.
  std::string sessions;
};

// Calls visit(attribute name, field, whether a resumed run must have the same value).
template <class Info, class Visit>
requires std::is_same_v<std::remove_const_t<Info>, RunInfo>
void visit_attributes(Info& info, Visit&& visit) {
  visit("config", info.config, true);
  visit("model_hash", info.model_hash, true);
  visit("tokenizer_hash", info.tokenizer_hash, true);
  visit("data_hashes", info.data_hashes, true);
  visit("profile_hashes", info.profile_hashes, true);
  visit("git_commit", info.git_commit, false);
  visit("model", info.model, false);
  visit("seeds", info.seeds, false);
  visit("device", info.device, false);
  visit("cpu_name", info.cpu_name, false);
  visit("gpu_name", info.gpu_name, false);
  visit("threads", info.threads, false);
  visit("versions", info.versions, false);
}

void write_run(const h5::File& file, const RunInfo& info, const RunState& state);
// Throws std::runtime_error when the file is not a results file of a version that we know.
void read_run(const h5::File& file, RunInfo& info, RunState& state);

// The first thing that forbids to go on with `stored` under `now`, in words ("ratios[1] is 0.8 in
// the file, 0.9 now"); empty when nothing does. `output` of the configuration is not compared.
std::string first_difference(const RunInfo& stored, const RunInfo& now);

// A line of RunState::sessions: `lost_rows` of the file before are run again.
std::string session_line(const RunInfo& first, const RunInfo& now, int64_t lost_rows,
                         const std::string& time);

std::string utc_now(const char* format = "%Y-%m-%dT%H:%M:%SZ");

}  // namespace kvbench
