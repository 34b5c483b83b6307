// The results file of a run in progress.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/file_lock.h"
#include "harness/results/append_table.h"
#include "harness/results/results_file.h"

namespace kvbench {

// Keeps every finished sample: after append() returns, the row survives a kill of the process at
// any moment, and a later store of the same run goes on behind it. See results/README.md.
class ResultsStore {
 public:
  // Creates `path`, or goes on with the file there when it holds the same run; `fresh` first
  // renames a file there to PATH.bak-YYYYmmdd-HHMMSS. `cells` are in configuration order.
  // Throws InputError when the file holds another configuration (naming the first difference), is
  // damaged (it is left as it is), or is being written by another process.
  ResultsStore(std::filesystem::path path, RunInfo info, const std::vector<Cell>& cells,
               int64_t n_layers, int64_t n_kv_heads, bool fresh = false);

  // Finished samples as (cell_id, sample_id), those with an error included.
  const std::set<std::pair<std::string, int64_t>>& finished() const { return finished_; }
  int64_t planned_rows() const { return content_.planned_rows(); }
  bool complete() const { return content_.state.complete; }

  // Stores one finished sample. `keep_counts` is [n_layers, n_kv_heads]; empty (a failed sample)
  // stores -1. Throws std::runtime_error when the disk does not take it; rows before remain.
  void append(const SampleRow& row, std::span<const int32_t> keep_counts);

  // Stores isolated measurements behind those there already; a rewrite of the file, so for few
  // rows.
  void add_latency(const std::vector<LatencyRow>& rows);
  const std::vector<LatencyRow>& latency() const { return content_.latency; }

  // After the last planned row: derives /cells and marks the file complete.
  void finish();

 private:
  void resume(Results existing, const RunInfo& now);
  void open();
  void rewrite(Results content, const Widths& widths);
  void make_room_for(const SampleRow& row);
  void write_keep_counts(const std::string& cell_id, int64_t slot, std::span<const int32_t> counts);
  void count(const SampleRow& row);

  FileLock lock_;
  Results content_;  // without rows: they are read back where they are needed
  int64_t n_layers_, n_kv_heads_;
  std::unique_ptr<h5::File> file_;  // at a fixed address: samples_ points to it
  AppendTable samples_;
  Widths widths_;  // of the open file, as layout_
  Layout layout_;
  std::map<std::string, int64_t> rows_of_cell_;
  std::set<std::pair<std::string, int64_t>> finished_;
};

}  // namespace kvbench
