#include "harness/report/longbench_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tasks/longbench/scores.h"

namespace kvbench {
namespace {

constexpr std::string_view kBenchmark = "longbench/";

// The name of the set, "" for another benchmark's task.
std::string set_of(const CellRow& cell) {
  return cell.task.starts_with(kBenchmark) ? cell.task.substr(kBenchmark.size()) : "";
}

// The rows that have a score, in the file's order.
std::vector<const SampleRow*> graded(const Measured& measured) {
  std::vector<const SampleRow*> rows;
  for (const SampleRow& row : measured.rows) {
    if (row.error.empty()) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto* a, const auto* b) { return a->sample_id < b->sample_id; });
  return rows;
}

std::vector<double> shares_of(const std::vector<const SampleRow*>& rows) {
  std::vector<double> shares;
  for (const SampleRow* row : rows) shares.push_back(row->score / 100);
  return shares;
}

using PolicyAtRatio = std::pair<std::string, std::string>;

// What the table shows of one policy at one ratio.
struct Line {
  std::string policy;
  double ratio;
  std::map<std::string, double> scores;  // of the sets
};

std::vector<Line> lines_of(const Block& block) {
  std::vector<Line> lines;
  std::map<PolicyAtRatio, size_t> line_at;
  for (const Measured* measured : block.cells) {
    const std::string set = set_of(measured->cell);
    const auto rows = graded(*measured);
    if (set.empty() || set.ends_with("_e") || rows.empty()) continue;
    const PolicyAtRatio key{measured->cell.policy, ratio_text(measured->cell.ratio)};
    const auto [it, is_new] = line_at.try_emplace(key, lines.size());
    if (is_new) lines.push_back({measured->cell.policy, measured->cell.ratio, {}});
    lines[it->second].scores[set] = longbench::set_score(shares_of(rows));
  }
  return lines;
}

}  // namespace

Table longbench_table(const std::vector<Block>& blocks) {
  std::vector<std::vector<Line>> lines;  // of each block
  std::set<std::string> measured;
  for (const Block& block : blocks) {
    for (const Line& line : lines.emplace_back(lines_of(block))) {
      for (const auto& [set, score] : line.scores) measured.insert(set);
    }
  }
  Table table;
  if (measured.empty()) return table;
  const std::vector<longbench::LongBenchSet> sets = longbench::load_longbench_sets();
  table.columns = {{"policy", "policy", Style::kText}, {"ratio", "ratio", Style::kNumber}};
  for (const auto& set : sets) {
    if (measured.contains(set.name)) table.columns.push_back({set.name, set.name, Style::kNumber});
  }
  for (const char* average : {"avg_16", "avg_categories", "avg_categories_zh"}) {
    table.columns.push_back({average, average, Style::kScore, true});
  }
  for (const char* column : {"protocol", "compress"}) table.columns.push_back({"", column});
  for (size_t i = 0; i < blocks.size(); ++i) {
    auto& section = table.sections.emplace_back();
    section.title = "LongBench, " + blocks[i].title + ": set scores as eval.py rounds them";
    const CellRow& cell = blocks[i].cells[0]->cell;
    for (const Line& line : lines[i]) {
      auto& values = section.rows.emplace_back();
      values = {line.policy, line.ratio};
      for (const auto& set : sets) {
        if (!measured.contains(set.name)) continue;
        const auto score = line.scores.find(set.name);
        values.emplace_back(score == line.scores.end() ? NAN : score->second);
      }
      const auto averages = longbench::averages(line.scores, sets);
      for (const auto& average :
           {averages.avg_16, averages.avg_categories, averages.avg_categories_zh}) {
        values.emplace_back(average.value_or(NAN));
      }
      values.emplace_back(cell.protocol);
      values.emplace_back(cell.compress);
    }
  }
  return table;
}

Table longbench_e_table(const std::vector<Block>& blocks) {
  Table table;
  table.columns = {{"set", "set", Style::kText},
                   {"policy", "policy", Style::kText},
                   {"ratio", "ratio", Style::kNumber}};
  for (const char* bucket : longbench::kBuckets) {
    table.columns.push_back({bucket, bucket, Style::kNumber});
  }
  for (const char* column : {"protocol", "compress"}) table.columns.push_back({"", column});
  for (const Block& block : blocks) {
    Table::Section section;
    section.title = "LongBench-E, " + block.title + ": means by length of the item";
    for (const Measured* measured : block.cells) {
      const CellRow& cell = measured->cell;
      const std::string set = set_of(cell);
      const auto rows = graded(*measured);
      if (!set.ends_with("_e") || rows.empty()) continue;
      std::vector<int64_t> lengths;
      for (const SampleRow* row : rows) lengths.push_back(row->words);
      auto& values = section.rows.emplace_back();
      values = {set, cell.policy, cell.ratio};
      for (const auto& score : longbench::bucket_scores(shares_of(rows), lengths)) {
        values.emplace_back(score.value_or(NAN));
      }
      values.emplace_back(cell.protocol);
      values.emplace_back(cell.compress);
    }
    if (!section.rows.empty()) table.sections.push_back(std::move(section));
  }
  return table;
}

}  // namespace kvbench
