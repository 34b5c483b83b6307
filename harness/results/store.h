// The results file of a run in progress.
#pragma once

#include <compare>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/base/file_lock.h"
#include "harness/results/append_table.h"
#include "harness/results/results_file.h"

namespace kvbench {

// A sample that a run asks its cells to answer.
struct PlannedSample {
  std::string sample_hash;
  int64_t occurrence = 0;
  int64_t sample_id = 0;
  std::string references;  // as in SampleRow
};

// Cells that answer the same samples, in the order in which they are asked.
struct PlannedGroup {
  std::vector<Cell> cells;
  std::vector<PlannedSample> samples;
};

struct StoreOptions {
  bool fresh = false;        // set a file that is there aside
  bool keep_failed = false;  // failed rows count as done
  bool fidelity = false;     // rows without kl_full are to be done again
};

// Keeps every finished sample: after append() returns, the row survives a kill of the process at
// any moment, and a later store of the same model goes on behind it. See results/README.md.
class ResultsStore {
 public:
  // Creates `path`, or goes on with the file there: rows of the plan that it holds are done, all
  // others stay as they are, failed ones of the plan are dropped to be done again. A file in which
  // nothing is left to do is not touched. `fresh` first renames a file there to
  // PATH.bak-YYYYmmdd-HHMMSS. Throws InputError when the file holds another identity or other data
  // under the same name (saying what differs), is damaged (it is left as it is), or is being
  // written by another process.
  ResultsStore(std::filesystem::path path, RunInfo info, const std::vector<PlannedGroup>& plan,
               int64_t n_layers, int64_t n_kv_heads, const StoreOptions& options = {});

  bool is_done(const RowKey& key) const { return done_.contains(key); }
  int64_t n_planned() const { return static_cast<int64_t>(order_.size()); }
  int64_t n_done() const { return static_cast<int64_t>(done_.size()); }
  bool complete() const { return content_.state.complete; }

  // Stores one finished sample. What its cell decides (task, policy, ratio, ...) is filled in here.
  // `keep_counts` is [n_layers, n_kv_heads]; empty (a failed sample) stores -1. Throws
  // std::runtime_error when the disk does not take it; rows before remain.
  void append(SampleRow row, std::span<const int32_t> keep_counts);

  // Stores isolated measurements behind those there already; a rewrite of the file, so for few
  // rows.
  void add_latency(const std::vector<LatencyRow>& rows);
  const std::vector<LatencyRow>& latency() const { return content_.latency; }

  // After the last planned row: derives /cells, puts the rows into the plan's order, whatever order
  // they came in, and marks the file complete.
  void finish();

 private:
  void extend(const RunInfo& now, const std::vector<PlannedGroup>& plan,
              const StoreOptions& options);
  void reopen();
  void rewrite(Results content, const std::vector<std::vector<int32_t>>& keep_counts,
               const Widths& widths);
  void rewrite_with(const Widths& widths);
  void make_room_for(const SampleRow& row);
  void write_keep_counts(const std::string& cell_id, int64_t slot, std::span<const int32_t> counts);
  int64_t n_open() const { return n_planned() - n_done(); }

  FileLock lock_;
  Results content_;  // without rows: they are read back where they are needed
  int64_t n_layers_, n_kv_heads_;
  std::map<RowKey, int64_t> order_;       // of every planned row
  std::map<std::string, size_t> cells_;   // index in content_.cells
  std::set<RowKey> done_;                 // of the planned rows
  std::map<std::string, int64_t> slots_;  // rows of each cell in the file
  std::unique_ptr<h5::File> file_;        // at a fixed address: samples_ points to it
  AppendTable samples_;
  Widths widths_;  // of the open file, as layout_
  Layout layout_;
};

}  // namespace kvbench
