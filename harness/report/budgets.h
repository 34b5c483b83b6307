// How a policy spreads its budget over layers and KV heads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/results/results_file.h"

namespace kvbench {

struct HeadBudgets {
  int64_t n_layers = 0, n_kv_heads = 0;
  std::vector<double> kept;  // [n_layers * n_kv_heads] share of the entries that it kept, mean

  bool is_even() const;  // every head keeps the same share, to half a per cent of all entries
};

// Of every cell that has a graded row, by cell_id: means over its rows. Files of earlier schemas
// give none. Throws std::runtime_error with path and reason when the file's budgets cannot be read.
std::map<std::string, HeadBudgets> head_budgets(const Results& results);

// The mean of several of the same shape, each weighing the same; `all` is not empty.
HeadBudgets mean_budgets(const std::vector<const HeadBudgets*>& all);

}  // namespace kvbench
