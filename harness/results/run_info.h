// What a results file says about the run that made it.
#pragma once

#include <string>
#include <type_traits>

#include "harness/base/hdf5.h"

namespace kvbench {

struct RunInfo {
  // Identity: must be the same for a file to be gone on with.
  std::string model_hash, tokenizer_hash;  // weights and config.json; tokenizer.json
  std::string prompt_hash;  // of what the template writes around a text and in which order
  std::string end_tokens;   // ids that end an answer
  std::string dtype;
  std::string numerics;  // whose arithmetic: "cpu 1", "cuda 1"
  // Facts about the first process; what later ones changed is noted in `sessions`.
  std::string config;                                   // resolved configuration, YAML text
  std::string data_hashes, file_hashes, plugin_hashes;  // one "name hash" a line
  std::string git_commit, model, seeds, device, cpu_name, gpu_name;
  int64_t threads = 0;
  std::string versions;  // one "library version" a line
  std::string shard;     // "2/4": of a split run; empty = all of it
};

// Of results/README.md. Files of earlier versions can be read, not extended.
inline constexpr int64_t kSchemaVersion = 6;

// The state of the file, kept by the store.
struct RunState {
  int64_t schema_version = kSchemaVersion;
  bool complete = false;
  std::string start_time, end_time;  // UTC, ISO 8601; end_time is empty until complete
  // One line for each process that worked on the file: its start, and what differs from the first.
  std::string sessions;
  std::string merged_from;  // the files that merge made it of, one a line; empty = a run made it
};

// Calls visit(attribute name, field, whether it belongs to the identity).
template <class Info, class Visit>
requires std::is_same_v<std::remove_const_t<Info>, RunInfo>
void visit_attributes(Info& info, Visit&& visit) {
  visit("model_hash", info.model_hash, true);
  visit("tokenizer_hash", info.tokenizer_hash, true);
  visit("prompt_hash", info.prompt_hash, true);
  visit("end_tokens", info.end_tokens, true);
  visit("dtype", info.dtype, true);
  visit("numerics", info.numerics, true);
  visit("config", info.config, false);
  visit("data_hashes", info.data_hashes, false);
  visit("file_hashes", info.file_hashes, false);
  visit("plugin_hashes", info.plugin_hashes, false);
  visit("git_commit", info.git_commit, false);
  visit("model", info.model, false);
  visit("seeds", info.seeds, false);
  visit("device", info.device, false);
  visit("cpu_name", info.cpu_name, false);
  visit("gpu_name", info.gpu_name, false);
  visit("threads", info.threads, false);
  visit("versions", info.versions, false);
  visit("shard", info.shard, false);
}

void write_run(const h5::File& file, const RunInfo& info, const RunState& state);
// Attributes that files of earlier versions lack are empty. Throws std::runtime_error when the file
// is not a results file of a version that we know.
void read_run(const h5::File& file, RunInfo& info, RunState& state);

// One text of everything in the identity: part of every cell id.
std::string identity_text(const RunInfo& info);

// What forbids to go on with `stored` under `now`, in words with what to do; empty when nothing
// does.
std::string identity_difference(const RunInfo& stored, const RunInfo& now);

// A line of RunState::sessions: `lost_rows` of the file before are run again.
std::string session_line(const RunInfo& first, const RunInfo& now, int64_t lost_rows,
                         const std::string& time);

// Adds what `now` says of data and files behind what `info` says, and takes its configuration and
// shard: a file holds the latest ones whole, and all data and files that its rows came from.
void add_facts(RunInfo& info, const RunInfo& now);

std::string utc_now(const char* format = "%Y-%m-%dT%H:%M:%SZ");

}  // namespace kvbench
