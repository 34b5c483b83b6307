// For tests: results in memory, as read_results() gives them.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "harness/report/join.h"
#include "harness/results/results_file.h"

namespace kvbench::test_results {

inline Results file(const std::string& name, const std::string& model = "tiny") {
  Results results;
  results.file = name;
  results.info.model = model;
  results.info.model_hash = "hash of " + model;
  results.info.dtype = "float32";
  results.info.device = "cpu";
  results.info.threads = 2;
  results.state.complete = true;
  return results;
}

// A cell of generated samples. Ids follow from what distinguishes it, as in a real file.
inline CellRow cell(const std::string& task, const std::string& policy, double ratio) {
  CellRow cell;
  cell.task = task;
  cell.source = "generated";
  cell.seed = 42;
  cell.max_length = 1024;
  cell.protocol = "official";
  cell.policy = policy;
  cell.policy_id = "id of " + policy;
  if (policy != "full") cell.scorer = cell.allocator = policy;
  cell.ratio = ratio;
  cell.compress = "context";
  return cell;
}

// One row per score with the samples s0, s1, ... about a context each; a failed one for nan.
inline void add(Results& results, CellRow cell, const std::vector<double>& scores) {
  const auto model = results.info.model_hash;
  cell.group_id = fmt::format("{} {} {} {} {} {}", model, cell.task, cell.source, cell.seed,
                              cell.max_length, cell.compress);
  cell.cell_id = fmt::format("{} {} {}", cell.group_id, cell.policy_id, cell.ratio);
  cell.n_planned = std::ssize(scores);
  for (size_t i = 0; i < scores.size(); ++i) {
    SampleRow row;
    row.cell_id = cell.cell_id;
    row.sample_hash = fmt::format("s{}", i);
    row.context_id = fmt::format("{} c{}", cell.task, i);
    row.task = cell.task;
    row.source = cell.source;
    row.seed = cell.seed;
    row.max_length = cell.max_length;
    row.protocol = cell.protocol;
    row.policy = cell.policy;
    row.scorer = cell.scorer;
    row.allocator = cell.allocator;
    row.ratio = cell.ratio;
    row.compress = cell.compress;
    row.sample_id = static_cast<int64_t>(i);
    row.score = scores[i];
    row.prediction = fmt::format("{}", scores[i]);
    if (std::isnan(scores[i])) row.error = "no";
    row.kept_ratio = 1 - cell.ratio;
    row.kv_bytes_full = row.kv_bytes_allocated = 1048576;
    results.rows.push_back(std::move(row));
  }
  results.cells.push_back(std::move(cell));
}

}  // namespace kvbench::test_results
