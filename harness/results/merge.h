// One results file out of several: the shards of a sweep, or runs that extend each other.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/results/rows.h"

namespace kvbench {

// Rows of a cell that no file has and that one shard was to make.
struct MissingRows {
  Cell cell;
  int64_t shard = 1;
  std::vector<int64_t> sample_ids;  // ascending
};

struct Merged {
  int64_t n_rows = 0, n_failed = 0;
  int64_t n_double = 0;              // rows and measurements that came again and were left out
  std::vector<MissingRows> missing;  // in the configuration's order
  std::vector<std::string> notes;    // what a user should know of the files
  bool complete = false;             // nothing is missing
};

// Writes `out` with the rows, keep counts, texts and measurements of `inputs`, in the order in
// which one run of all of it ends: groups and cells as the first file that has them orders them. It
// is marked complete when every sample that one of the files plans is there, and the isolated
// measurements where the configuration asks for them; else a run on it makes the rest. Of a row
// that two files have the first counts, unless it failed or lacks measures that the other has;
// of a measurement the first that did not fail. `out` is written beside and renamed.
//
// Throws InputError, and writes nothing, when `out` is there and was not written by a merge, is
// among the inputs or is being written; when an input is missing, damaged or of another schema; for
// files of different identity (as a run that goes on with one of them: run_info.h), of the same
// configuration but different data, or with different answers to the same sample of a cell.
Merged merge_results(const std::filesystem::path& out,
                     const std::vector<std::filesystem::path>& inputs);

}  // namespace kvbench
