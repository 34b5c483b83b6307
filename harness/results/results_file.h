// A whole results file: reading it, and writing it anew in one step.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "harness/results/layout.h"
#include "harness/results/rows.h"
#include "harness/results/run_info.h"
#include "harness/results/text_pool.h"

namespace kvbench {

struct Results {
  std::filesystem::path file;
  RunInfo info;
  RunState state;
  std::vector<CellRow> cells;   // in configuration order; derived columns are set when complete
  std::vector<SampleRow> rows;  // in the order they were finished; the plan's when complete
  std::vector<LatencyRow> latency;
  // The samples that the latest run asked for, group by group in its order; those of all shards in
  // each shard's file. Empty: the file was made before there was a plan in it.
  std::vector<PlanRow> plan;
  // Rows behind a blank one, left out above. Only a machine that lost its power makes them: the
  // row count reached the disk, a row before it did not.
  int64_t lost_rows = 0;

  int64_t planned_rows() const;
};

// Reads a file, also one that is being written. Of two rows with the same key (a sample that was
// done again) the later one counts, unless it alone failed. Throws std::runtime_error with path and
// reason.
Results read_results(const std::filesystem::path& path);

// Keep counts [n_layers * n_kv_heads] of every row of `results`, as they lie in the file; empty for
// a row that failed. Only for files of this schema.
std::vector<std::vector<int32_t>> read_keep_counts(const Results& results);

// Text widths that hold what is known before a run, with room for what is not.
Widths initial_widths(const std::vector<CellRow>& cells);

// What write_results() makes room for beside what there is.
struct Room {
  int64_t n_layers = 0, n_kv_heads = 0;
  std::map<std::string, int64_t> open_rows;  // still to come, of each cell
  int64_t text_bytes = 0;                    // of /texts, those that are there included
};

// Writes `content` to content.file as a new file that replaces the old one in one step, so that a
// kill leaves either of them whole; keep_counts[i] belongs to content.rows[i]. Disk space for every
// row to come is reserved here, so that a disk too small is found at the start of a run. Returns
// what /texts holds.
TextPool write_results(const Results& content, const std::vector<std::vector<int32_t>>& keep_counts,
                       const Widths& widths, const Room& room);

}  // namespace kvbench
