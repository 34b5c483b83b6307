#include "harness/report/decoding_table.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "harness/base/distributions.h"
#include "harness/results/intervals.h"
#include "tasks/rollouts.h"

namespace kvbench {
namespace {

// The rows whose `field` was measured, each as a value of its context.
Stratum measured(const std::vector<SampleRow>& rows, double SampleRow::*field) {
  Stratum stratum;
  for (const SampleRow& row : rows) {
    if (!row.error.empty() || std::isnan(row.*field)) continue;
    stratum.values.push_back(row.*field);
    stratum.contexts.push_back(row.context_id);
  }
  return stratum;
}

double mean_of(const std::vector<SampleRow>& rows, double SampleRow::*field) {
  return estimate_mean({measured(rows, field)}).mean;
}

// Of a mean that has no bounds.
Interval t_interval(const Stratum& stratum) {
  const Estimate estimate = estimate_mean({stratum});
  if (std::isnan(estimate.variance)) return {estimate.mean, NAN, NAN};
  const double half = student_t_quantile(0.975, estimate.df) * std::sqrt(estimate.variance);
  return {estimate.mean, estimate.mean - half, estimate.mean + half};
}

// Standard deviation of the rollouts' means; nan of fewer than two.
double spread(const std::vector<SampleRow>& rows, double SampleRow::*field) {
  std::map<int64_t, std::vector<double>> by_rollout;
  for (const SampleRow& row : rows) {
    if (row.error.empty() && !std::isnan(row.*field)) {
      by_rollout[rollout_of(row.sample_id)].push_back(row.*field);
    }
  }
  if (by_rollout.size() < 2) return NAN;
  const auto n = static_cast<double>(by_rollout.size());
  std::vector<double> means;
  double all = 0, squares = 0;
  for (const auto& [rollout, values] : by_rollout) {
    double sum = 0;
    for (const double value : values) sum += value;
    means.push_back(sum / static_cast<double>(values.size()));
    all += means.back() / n;
  }
  for (const double mean : means) squares += (mean - all) * (mean - all);
  return std::sqrt(squares / (n - 1));
}

int64_t n_rollouts(const std::vector<SampleRow>& rows) {
  int64_t last = 0;
  for (const SampleRow& row : rows) last = std::max(last, rollout_of(row.sample_id));
  return last + 1;
}

}  // namespace

Table decoding_table(const std::vector<Block>& blocks) {
  Table table;
  table.columns = block_columns();
  const std::vector<Column> columns = {{"policy", "policy", Style::kText},
                                       {"ratio", "ratio", Style::kNumber},
                                       {"task", "task", Style::kText},
                                       {"n", "n", Style::kNumber},
                                       {"attended", "attended_mean", Style::kScore},
                                       {"most", "attended_most", Style::kNumber},
                                       {"score", "score", Style::kScore},
                                       {"low", "ci_low", Style::kScore},
                                       {"high", "ci_high", Style::kScore},
                                       {"NLL", "nll_full", Style::kFine, true},
                                       {"NLL low", "nll_full_low", Style::kFine, true},
                                       {"NLL high", "nll_full_high", Style::kFine, true},
                                       {"KL", "kl_full", Style::kFine, true},
                                       {"top 1", "top1_full", Style::kPercent, true},
                                       {"rollouts", "rollouts", Style::kNumber},
                                       {"sd score", "score_sd_of_rollouts", Style::kFine, true},
                                       {"sd NLL", "nll_full_sd_of_rollouts", Style::kFine, true}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    auto& section = table.sections.emplace_back();
    section.title =
        "Decoding, " + block.title +
        ": entries that a KV head attends to; NLL of what was said under the full cache, nats";
    for (const Measured* cell : block.cells) {
      const std::vector<SampleRow>& rows = cell->rows;
      int64_t most = 0;
      for (const SampleRow& row : rows) most = std::max(most, row.attended_most);
      const Interval nll = t_interval(measured(rows, &SampleRow::nll_full));
      auto& values = section.rows.emplace_back(block.values);
      values.insert(
          values.end(),
          {cell->cell.policy, cell->cell.ratio, cell->cell.task, cell->cell.n,
           mean_of(rows, &SampleRow::attended_mean), most, cell->cell.mean, cell->cell.ci_low,
           cell->cell.ci_high, nll.mean, nll.low, nll.high, mean_of(rows, &SampleRow::kl_full),
           mean_of(rows, &SampleRow::top1_full), n_rollouts(rows), spread(rows, &SampleRow::score),
           spread(rows, &SampleRow::nll_full)});
    }
  }
  return table;
}

bool has_decoding(const std::vector<Block>& blocks) {
  const auto is_more = [](const SampleRow& row) {
    return !std::isnan(row.nll_full) || !std::isnan(row.kl_full) || rollout_of(row.sample_id) > 0;
  };
  return std::any_of(blocks.begin(), blocks.end(), [&](const Block& block) {
    return std::any_of(block.cells.begin(), block.cells.end(), [&](const Measured* cell) {
      return std::any_of(cell->rows.begin(), cell->rows.end(), is_more);
    });
  });
}

}  // namespace kvbench
