#include "harness/report/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "harness/results/stats.h"

namespace kvbench {
namespace {

// One policy at one ratio on one task.
struct Entry {
  const Measured* measured;
  double difference = NAN;  // to the full cache
  int64_t n_common = 0;     // samples that it is over

  const CellRow& cell() const { return measured->cell; }
};

struct Line {
  std::string policy;
  double ratio;
  std::vector<std::optional<Entry>> tasks;  // as Block::tasks
};

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? NAN : sum / static_cast<double>(values.size());
}

Entry compared(const Measured& measured, const Measured* full) {
  Entry entry{&measured};
  if (full == nullptr) return entry;
  std::map<std::pair<std::string, int64_t>, double> reached;
  for (const SampleRow& row : full->rows) {
    if (row.error.empty()) reached[{row.sample_hash, row.sample_id}] = row.score;
  }
  std::vector<double> differences;
  for (const SampleRow& row : measured.rows) {
    const auto other = reached.find({row.sample_hash, row.sample_id});
    if (row.error.empty() && other != reached.end()) {
      differences.push_back(row.score - other->second);
    }
  }
  entry.difference = mean(differences);
  entry.n_common = static_cast<int64_t>(differences.size());
  return entry;
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
      lines.push_back({cell.policy, cell.ratio, {}});
      line = lines.end() - 1;
      line->tasks.resize(block.tasks.size());
    }
    const size_t task = task_of(*measured);
    line->tasks[task] = compared(*measured, full[task]);
  }
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
double difference(const Entry& entry) { return entry.difference; }
double kept(const Entry& entry) { return entry.cell().kept_ratio; }
double allocated(const Entry& entry) { return entry.cell().kv_bytes_allocated; }

// The average's interval; nan when a task is missing.
Interval interval_of(const Line& line) {
  std::vector<Stratum> strata;
  for (const auto& entry : line.tasks) {
    if (!entry) return {NAN, NAN, NAN};
    strata.push_back(scores_of(*entry->measured));
  }
  return stratified_mean(strata);
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
  bool any_failed = false, any_fewer = false;
  for (const Line& line : lines) {
    for (const auto& entry : line.tasks) {
      any_failed |= entry && entry->cell().n_errors > 0;
      any_fewer |= entry && !std::isnan(entry->difference) && entry->n_common != entry->cell().n;
    }
  }
  for (const char* name : {"average", "n"}) grid.columns.push_back({name});
  if (any_failed) grid.columns.push_back({"failed"});
  grid.columns.push_back({"vs full"});
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
    if (any_fewer) row.push_back(range(line, [](const Entry& entry) { return entry.n_common; }));
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
                                       {"n of both", "n_vs_full", Style::kNumber}};
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
      int64_t n = 0, n_errors = 0, n_contexts = 0, n_common = 0;
      for (size_t task = 0; task < line.tasks.size(); ++task) {
        if (!line.tasks[task]) continue;
        const Entry& entry = *line.tasks[task];
        const CellRow& cell = entry.cell();
        add({cell.task, cell.source, cell.mean, cell.ci_low, cell.ci_high, cell.n, cell.n_errors,
             cell.n_contexts, cell.kept_ratio, cell.kv_bytes_allocated, entry.difference,
             entry.n_common});
        n += cell.n;
        n_errors += cell.n_errors;
        n_contexts += cell.n_contexts;
        n_common += entry.n_common;
      }
      const Interval average = interval_of(line);
      add({"average", "", average.mean, average.low, average.high, n, n_errors, n_contexts,
           over_tasks(line, false, kept), over_tasks(line, false, allocated),
           over_tasks(line, true, difference), n_common});
    }
  }
  return table;
}

}  // namespace kvbench
