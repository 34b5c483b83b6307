#include "harness/report/budgets.h"

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"

namespace kvbench {

bool HeadBudgets::is_even() const {
  constexpr double kSame = 0.005;
  const auto [least, most] = std::minmax_element(kept.begin(), kept.end());
  return *most - *least <= kSame;
}

std::map<std::string, HeadBudgets> head_budgets(const Results& results) {
  constexpr int64_t kFirstLikeThis = 5;
  if (results.state.schema_version < kFirstLikeThis) return {};
  const h5::File file(results.file, h5::Mode::kRead);
  const auto keep_counts = read_keep_counts(results);
  std::map<std::string, HeadBudgets> budgets;
  std::map<std::string, double> n_rows;
  for (size_t i = 0; i < keep_counts.size(); ++i) {
    const SampleRow& row = results.rows[i];
    const double entries = row.kept_tokens / row.kept_ratio;  // of each head before the cut
    if (keep_counts[i].empty() || !(entries > 0)) continue;
    HeadBudgets& budget = budgets[row.cell_id];
    if (budget.kept.empty()) {
      const std::string name = "/budgets/" + row.cell_id;
      const auto dims = h5::dims(file, name);
      const HeadBudgets& first = budgets.begin()->second;
      if (!first.kept.empty() && (dims[1] != first.n_layers || dims[2] != first.n_kv_heads)) {
        file.fail(name, "has other layers and heads than the file's other budgets");
      }
      budget = {dims[1], dims[2], std::vector<double>(keep_counts[i].size())};
    }
    for (size_t head = 0; head < budget.kept.size(); ++head) {
      budget.kept[head] += keep_counts[i][head] / entries;
    }
    n_rows[row.cell_id] += 1;
  }
  for (auto& [cell, budget] : budgets) {
    for (double& kept : budget.kept) kept /= n_rows[cell];
  }
  return budgets;
}

HeadBudgets mean_budgets(const std::vector<const HeadBudgets*>& all) {
  HeadBudgets mean = *all.at(0);
  for (size_t i = 1; i < all.size(); ++i) {
    KVB_CHECK(all[i]->kept.size() == mean.kept.size(), "budgets of {} and {} heads",
              all[i]->kept.size(), mean.kept.size());
    for (size_t head = 0; head < mean.kept.size(); ++head) mean.kept[head] += all[i]->kept[head];
  }
  for (double& kept : mean.kept) kept /= static_cast<double>(all.size());
  return mean;
}

}  // namespace kvbench
