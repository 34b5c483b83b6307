#include "harness/report/power.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "harness/report/cell_index.h"
#include "harness/report/comparison.h"

namespace kvbench {
namespace {

double half_width(const Interval& interval) { return (interval.high - interval.low) / 2; }

// What the samples of some tasks say, and what more of them would.
struct Need {
  int64_t n = 0, n_contexts = 0;
  double half_width = NAN, contexts = NAN, samples = NAN;
};

// Nothing where a task has no samples.
Need need_of(const std::vector<Stratum>& tasks, double width, IntervalOf interval) {
  Need need;
  std::set<std::string> contexts;
  for (const Stratum& task : tasks) {
    if (task.values.empty()) return {};
    need.n += std::ssize(task.values);
    contexts.insert(task.contexts.begin(), task.contexts.end());
  }
  need.n_contexts = std::ssize(contexts);
  const Estimate estimate = estimate_mean(tasks);
  need.half_width = half_width(interval(estimate));
  need.contexts = contexts_needed(estimate, need.n_contexts, width, interval);
  const double per_context = static_cast<double>(need.n) / static_cast<double>(need.n_contexts);
  need.samples = std::ceil(need.contexts * per_context);
  return need;
}

std::vector<Value> row_of(const Block& block, const CellIndex& index,
                          const std::vector<std::string>& tasks, const CellIndex::Line& line,
                          const std::string& against, double width) {
  std::vector<Stratum> scores, differences;
  for (const std::string& task : tasks) {
    const Measured* mine = index.find(task, line);
    const Measured* theirs = index.partner(task, line, against);
    scores.push_back(mine == nullptr ? Stratum{} : scores_of(*mine));
    differences.push_back(
        mine == nullptr || theirs == nullptr ? Stratum{} : pair_up(*mine, *theirs).differences);
  }
  const Need score = need_of(scores, width, score_interval);
  if (score.n == 0) return {};
  const Need pair =
      line.policy == against ? Need{} : need_of(differences, width, difference_interval);
  std::vector<Value> row = block.values;
  row.insert(row.end(), {tasks.size() == 1 ? tasks[0] : "average", line.policy, line.ratio, width,
                         score.n_contexts, score.n, score.half_width, score.contexts, score.samples,
                         against, pair.half_width, pair.contexts, pair.samples});
  return row;
}

}  // namespace

double contexts_needed(const Estimate& estimate, int64_t n_contexts, double width,
                       IntervalOf interval) {
  if (!std::isfinite(estimate.variance)) return NAN;
  const auto suffices = [&](double n) {
    const double more = n / static_cast<double>(n_contexts);
    return half_width(interval({estimate.mean, estimate.magnitude, estimate.variance / more,
                                estimate.df * more, estimate.size * more,
                                estimate.n_varied * more})) <= width;
  };
  double few = 1, enough = 2;  // one context has no interval
  while (!suffices(enough)) {
    constexpr double kMost = 1e15;  // of scores in their range fewer do
    if (enough > kMost) return NAN;
    few = enough;
    enough *= 2;
  }
  while (enough - few > 1) {
    const double middle = std::floor((few + enough) / 2);
    (suffices(middle) ? enough : few) = middle;
  }
  return enough;
}

Table power_table(const std::vector<Block>& blocks, const std::string& against, double width) {
  if (!against.empty()) check_against(blocks, against);
  const std::string other = against.empty() ? "full" : against;
  Table table;
  table.columns = block_columns();
  const std::vector<Column> columns = {
      {"task", "task"},
      {"policy", "policy"},
      {"ratio", "ratio", Style::kNumber},
      {"", "width"},
      {"contexts", "n_contexts", Style::kNumber},
      {"n", "n", Style::kNumber},
      {"score +-", "half_width", Style::kScore},
      {"contexts needed", "contexts_needed", Style::kNumber},
      {"n needed", "n_needed", Style::kNumber},
      {"", "against"},
      {"minus " + other + " +-", "difference_half_width", Style::kScore, true},
      {"contexts needed for it", "difference_contexts_needed", Style::kNumber, true},
      {"n needed for it", "difference_n_needed", Style::kNumber, true}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    const CellIndex index(block);
    Table::Section& section = table.sections.emplace_back();
    section.title = fmt::format(
        "Power, {}: what intervals of +-{} points need, by the variance between contexts so far",
        block.title, width);
    for (const auto& tasks : task_groups(block)) {
      for (const CellIndex::Line& line : index.lines()) {
        std::vector<Value> row = row_of(block, index, tasks, line,
                                        against.empty() ? full_policy(block) : against, width);
        if (!row.empty()) section.rows.push_back(std::move(row));
      }
    }
  }
  return table;
}

}  // namespace kvbench
