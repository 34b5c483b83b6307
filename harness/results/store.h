// The results file of a run in progress.
#pragma once

#include <compare>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/base/file_lock.h"
#include "harness/results/append_table.h"
#include "harness/results/results_file.h"
#include "harness/results/text_pool.h"

namespace kvbench {

// What a sample is now, to be compared with a row of it that is there already.
struct PlannedSample {
  std::string sample_hash, references;  // as in SampleRow
};

// Cells that answer the same samples, in the order in which they are asked.
struct PlannedGroup {
  std::vector<Cell> cells;
  std::vector<int64_t> sample_ids = {};                         // ascending
  std::function<PlannedSample(int64_t sample_id)> sample = {};  // asked for rows that are there
  // Of a split run the group's samples of all shards, ascending; empty: sample_ids are all.
  std::vector<PlanRow> of_all_shards = {};
};

struct StoreOptions {
  bool fresh = false;        // set a file that is there aside
  bool keep_failed = false;  // failed rows count as done
  bool fidelity = false;     // rows without kl_full are to be done again
  bool likelihood = false;   // rows without nll_full likewise
};

// Keeps every finished sample: after append() returns, the row survives a kill of the process at
// any moment, and a later store of the same model goes on behind it. See results/README.md.
class ResultsStore {
 public:
  // Creates `path`, or goes on with the file there: rows of the plan that it holds are done, all
  // others stay as they are, failed ones of the plan are dropped to be done again. A file in which
  // nothing is left to do is not touched. Every sample of the plan that has a row is made once, so
  // that data that changed since are found here. `fresh` first renames a file there to
  // PATH.bak-YYYYmmdd-HHMMSS. Throws InputError when the file holds another identity or other data
  // under the same name (saying what differs), is damaged (it is left as it is), or is being
  // written by another process.
  ResultsStore(std::filesystem::path path, RunInfo info, const std::vector<PlannedGroup>& plan,
               int64_t n_layers, int64_t n_kv_heads, const StoreOptions& options = {});

  bool is_done(const RowKey& key) const;
  int64_t n_planned() const { return n_planned_; }
  int64_t n_done() const { return static_cast<int64_t>(done_.size()); }
  bool complete() const { return content_.state.complete; }

  // Stores one finished sample. What its cell decides (task, policy, ratio, ...) is filled in here.
  // `keep_counts` is [n_layers, n_kv_heads]; empty (a failed sample) stores -1. Throws
  // std::runtime_error when the disk does not take it; rows before remain.
  void append(SampleRow row, std::span<const int32_t> keep_counts);

  // Stores an isolated measurement behind those there already; a rewrite of the file, so for what
  // takes its time itself.
  void add_latency(const LatencyRow& row);
  const std::vector<LatencyRow>& latency() const { return content_.latency; }

  // After the last planned row: derives /cells, puts the rows into the plan's order, whatever order
  // they came in, and marks the file complete.
  void finish();

 private:
  void extend(const RunInfo& now, const std::vector<PlannedGroup>& plan,
              const StoreOptions& options);
  void reopen();
  void rewrite(Results content, const std::vector<std::vector<int32_t>>& keep_counts,
               const Widths& widths, int64_t text_bytes = 0);
  void rewrite_with(const Widths& widths, int64_t text_bytes = 0);
  void make_room_for(const SampleRow& row, int64_t text_bytes);
  bool is_planned(const RowKey& key) const;
  int64_t n_open(size_t cell) const;
  void write_keep_counts(const std::string& cell_id, int64_t slot, std::span<const int32_t> counts);
  int64_t n_open() const { return n_planned() - n_done(); }

  FileLock lock_;
  Results content_;  // without rows: they are read back where they are needed
  int64_t n_layers_, n_kv_heads_;
  std::map<std::string, size_t> cells_;           // index in content_.cells
  std::vector<size_t> group_of_;                  // of each planned cell, which come first
  std::vector<std::vector<int64_t>> sample_ids_;  // of each group, ascending
  int64_t n_planned_ = 0;                         // rows
  std::set<std::pair<size_t, int64_t>> done_;     // cell and sample of the planned rows
  std::map<std::string, int64_t> slots_;          // rows of each cell in the file
  std::unique_ptr<h5::File> file_;                // at a fixed address: samples_ points to it
  AppendTable samples_;
  TextPool texts_;
  Widths widths_;  // of the open file, as layout_
  Layout layout_;
};

}  // namespace kvbench
