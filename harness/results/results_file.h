// A whole results file: reading it, and writing it anew in one step.
#pragma once

#include <filesystem>
#include <vector>

#include "harness/results/layout.h"
#include "harness/results/rows.h"
#include "harness/results/run_info.h"

namespace kvbench {

struct Results {
  std::filesystem::path file;
  RunInfo info;
  RunState state;
  std::vector<CellRow> cells;   // in configuration order; derived columns are set when complete
  std::vector<SampleRow> rows;  // in the order they were finished
  std::vector<LatencyRow> latency;
  // Rows behind a blank one, left out above. Only a machine that lost its power makes them: the
  // row count reached the disk, a row before it did not.
  int64_t lost_rows = 0;

  int64_t planned_rows() const;
};

// Reads a file, also one that is being written. Throws std::runtime_error with path and reason.
Results read_results(const std::filesystem::path& path);

// Text widths that hold what is known before a run, with room for what is not.
Widths initial_widths(const std::vector<CellRow>& cells);

// Writes `content` to `path` as a new file that replaces the old one in one step, so that a kill
// leaves either of them whole. Keep counts are copied from `old`; without `old` they start empty,
// for `n_layers` x `n_kv_heads`. Disk space for every planned row is reserved here, so that a disk
// too small is found at the start of a run.
void write_results(const std::filesystem::path& path, const Results& content, const Widths& widths,
                   const h5::File* old, int64_t n_layers, int64_t n_kv_heads);

}  // namespace kvbench
