#include "harness/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "harness/report/comparison.h"
#include "harness/results/intervals.h"

namespace kvbench {
namespace {

// One policy at one ratio on one task.
struct Entry {
  const Measured* measured;
  Pairs with_full;  // the samples that the full cache answered too

  const CellRow& cell() const { return measured->cell; }
  int64_t n_common() const { return std::ssize(with_full.scores.values); }
};

struct Line {
  std::string policy;
  double ratio;
  bool is_full;
  std::vector<std::optional<Entry>> tasks;  // as Block::tasks
  Comparison with_full = {};                // over all tasks
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? NAN : sum / static_cast<double>(values.size());
}

// Of all lines but the full cache's own.
void compare_with_full(std::vector<Line>& lines) {
  std::vector<Comparison> family;
  for (const Line& line : lines) {
    std::vector<Pairs> pairs;
    for (const auto& entry : line.tasks) pairs.push_back(entry ? entry->with_full : Pairs{});
    family.push_back(line.is_full ? Comparison{} : compare(pairs));
  }
  judge_family(family);
  for (size_t i = 0; i < lines.size(); ++i) lines[i].with_full = std::move(family[i]);
}

std::vector<Line> lines_of(const Block& block) {
  const auto task_of = [&](const Measured& measured) {
    return static_cast<size_t>(
        std::find(block.tasks.begin(), block.tasks.end(), measured.cell.task) -
        block.tasks.begin());
  };
  std::vector<const Measured*> full(block.tasks.size());
  for (const Measured* measured : block.cells) {
    if (is_full(measured->cell)) full[task_of(*measured)] = measured;
  }
  std::vector<Line> lines;
  for (const Measured* measured : block.cells) {
    const CellRow& cell = measured->cell;
    auto line = std::find_if(lines.begin(), lines.end(), [&](const Line& l) {
      return l.policy == cell.policy && ratio_text(l.ratio) == ratio_text(cell.ratio);
    });
    if (line == lines.end()) {
      lines.push_back({cell.policy, cell.ratio, is_full(cell), {}});
      line = lines.end() - 1;
      line->tasks.resize(block.tasks.size());
    }
    const size_t task = task_of(*measured);
    line->tasks[task] =
        Entry{measured, full[task] == nullptr ? Pairs{} : pair_up(*measured, *full[task])};
  }
  compare_with_full(lines);
  return lines;
}

// Mean of a value over the tasks of a line; nan when `all` are wanted and one is missing.
template <class Get>
double over_tasks(const Line& line, bool all, Get&& get) {
  std::vector<double> values;
  for (const auto& entry : line.tasks) {
    if (entry) values.push_back(get(*entry));
  }
  return all && values.size() < line.tasks.size() ? NAN : mean(values);
}

double score(const Entry& entry) { return entry.cell().mean; }
double difference(const Entry& entry) { return mean(entry.with_full.differences.values); }
double kept(const Entry& entry) { return entry.cell().kept_ratio; }
double allocated(const Entry& entry) { return entry.cell().kv_bytes_allocated; }

// The average's interval; nan when a task is missing.
Interval interval_of(const Line& line) {
  std::vector<Stratum> strata;
  for (const auto& entry : line.tasks) {
    if (!entry) return {NAN, NAN, NAN};
    strata.push_back(scores_of(*entry->measured));
  }
  return score_interval(estimate_mean(strata));
}

// "10", or "5-10" where the tasks differ.
template <class Get>
std::string range(const Line& line, Get&& get) {
  int64_t least = INT64_MAX, most = 0;
  for (const auto& entry : line.tasks) {
    if (!entry) continue;
    least = std::min(least, get(*entry));
    most = std::max(most, get(*entry));
  }
  return least == most ? fmt::format("{}", most) : fmt::format("{}-{}", least, most);
}

Grid summary_grid(const Block& block) {
  Grid grid;
  grid.title = "Mean score, " + block.title;
  grid.columns = {{"policy", false}, {"ratio"}, {"kept"}, {"KV MiB"}};
  for (const auto& task : block.tasks) grid.columns.push_back({task});
  const auto lines = lines_of(block);
  bool any_failed = false, any_fewer = false, any_verdict = false;
  for (const Line& line : lines) {
    any_verdict |= line.with_full.n > 0;
    for (const auto& entry : line.tasks) {
      any_failed |= entry && entry->cell().n_errors > 0;
      any_fewer |= entry && entry->n_common() > 0 && entry->n_common() != entry->cell().n;
    }
  }
  for (const char* name : {"average", "n"}) grid.columns.push_back({name});
  if (any_failed) grid.columns.push_back({"failed"});
  grid.columns.push_back({"vs full"});
  if (any_verdict) grid.columns.push_back({"verdict", false});
  if (any_fewer) grid.columns.push_back({"n of both"});
  for (const Line& line : lines) {
    auto& row = grid.rows.emplace_back();
    row = {line.policy, ratio_text(line.ratio),
           shown(over_tasks(line, false, kept), Style::kPercent),
           shown(over_tasks(line, false, allocated), Style::kMebibytes)};
    int64_t failed = 0;
    for (const auto& entry : line.tasks) {
      row.push_back(shown(entry ? score(*entry) : NAN, Style::kScore));
      failed += entry ? entry->cell().n_errors : 0;
    }
    row.push_back(shown(over_tasks(line, true, score), Style::kScore));
    row.push_back(range(line, [](const Entry& entry) { return entry.cell().n; }));
    if (any_failed) row.push_back(failed == 0 ? "" : fmt::format("{}", failed));
    row.push_back(shown(over_tasks(line, true, difference), Style::kSigned));
    if (any_verdict) row.push_back(line.with_full.verdict);
    if (any_fewer) row.push_back(range(line, [](const Entry& entry) { return entry.n_common(); }));
  }
  return grid;
}

}  // namespace

std::vector<Grid> summary_grids(const std::vector<Block>& blocks) {
  std::vector<Grid> grids;
  for (const Block& block : blocks) grids.push_back(summary_grid(block));
  return grids;
}

Table summary_table(const std::vector<Block>& blocks) {
  Table table;
  table.columns = block_columns();
  const std::vector<Column> columns = {{"policy", "policy", Style::kText},
                                       {"ratio", "ratio", Style::kNumber},
                                       {"task", "task", Style::kText},
                                       {"", "source"},
                                       {"score", "score", Style::kScore},
                                       {"low", "ci_low", Style::kScore},
                                       {"high", "ci_high", Style::kScore},
                                       {"n", "n", Style::kNumber},
                                       {"failed", "n_errors", Style::kNumber, true},
                                       {"contexts", "n_contexts", Style::kNumber},
                                       {"kept", "kept_ratio", Style::kPercent},
                                       {"KV MiB", "kv_bytes_allocated", Style::kMebibytes},
                                       {"vs full", "vs_full", Style::kSigned},
                                       {"n of both", "n_vs_full", Style::kNumber},
                                       {"vs low", "vs_full_low", Style::kSigned},
                                       {"vs high", "vs_full_high", Style::kSigned},
                                       {"p (Holm)", "p_holm", Style::kFine},
                                       {"verdict", "verdict", Style::kText}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    Table::Section& section = table.sections.emplace_back();
    section.title = "Scores, " + block.title + ": 0 to 100 with 95 % interval";
    auto& rows = section.rows;
    for (const Line& line : lines_of(block)) {
      const auto add = [&](std::vector<Value> values) {
        auto& row = rows.emplace_back(block.values);
        row.insert(row.end(), {line.policy, line.ratio});
        row.insert(row.end(), values.begin(), values.end());
      };
      int64_t n = 0, n_errors = 0, n_common = 0;
      std::set<std::string> contexts;
      for (size_t task = 0; task < line.tasks.size(); ++task) {
        if (!line.tasks[task]) continue;
        const Entry& entry = *line.tasks[task];
        const CellRow& cell = entry.cell();
        const Interval to_full =
            line.is_full ? Interval{0, NAN, NAN}
                         : difference_interval(estimate_mean({entry.with_full.differences}));
        add({cell.task, cell.source, cell.mean, cell.ci_low, cell.ci_high, cell.n, cell.n_errors,
             cell.n_contexts, cell.kept_ratio, cell.kv_bytes_allocated, to_full.mean,
             entry.n_common(), to_full.low, to_full.high, NAN, ""});
        n += cell.n;
        n_errors += cell.n_errors;
        const std::vector<std::string> more = scores_of(*entry.measured).contexts;
        contexts.insert(more.begin(), more.end());
        n_common += entry.n_common();
      }
      const Interval average = interval_of(line);
      const Comparison& with_full = line.with_full;
      add({"average", "", average.mean, average.low, average.high, n, n_errors,
           std::ssize(contexts), over_tasks(line, false, kept), over_tasks(line, false, allocated),
           over_tasks(line, true, difference), n_common, with_full.difference.low,
           with_full.difference.high, with_full.p_holm, with_full.verdict});
    }
  }
  return table;
}

}  // namespace kvbench
