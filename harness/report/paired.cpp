#include "harness/report/paired.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/names.h"

namespace kvbench {
namespace {

using Line = std::pair<std::string, std::string>;  // policy, ratio as text

Line line_of(const CellRow& cell) { return {cell.policy, ratio_text(cell.ratio)}; }

}  // namespace

Pairs pair_up(const Measured& mine, const Measured& theirs) {
  std::map<std::pair<std::string, int64_t>, double> others;
  for (const SampleRow& row : theirs.rows) {
    if (row.error.empty()) others[{row.sample_hash, row.sample_id}] = row.score;
  }
  Pairs pairs;
  for (const SampleRow& row : mine.rows) {
    const auto other = others.find({row.sample_hash, row.sample_id});
    if (!row.error.empty() || other == others.end()) continue;
    for (Stratum* stratum : {&pairs.scores, &pairs.differences}) {
      stratum->contexts.push_back(row.context_id);
    }
    pairs.scores.values.push_back(row.score);
    pairs.differences.values.push_back(row.score - other->second);
  }
  return pairs;
}

namespace {

// The cells of a block by task and line, and its lines in order.
struct Lookup {
  explicit Lookup(const Block& block) {
    for (const Measured* measured : block.cells) {
      const Line line = line_of(measured->cell);
      if (std::find(lines.begin(), lines.end(), line) == lines.end()) {
        lines.push_back(line);
        ratios.push_back(measured->cell.ratio);
      }
      cells[{measured->cell.task, line}] = measured;
    }
  }

  const Measured* find(const std::string& task, const Line& line) const {
    const auto cell = cells.find({task, line});
    return cell == cells.end() ? nullptr : cell->second;
  }

  // The cell of `against` to compare `line` with.
  const Measured* other(const std::string& task, const Line& line,
                        const std::string& against) const {
    for (const std::string& ratio : {line.second, std::string("0"), std::string("-")}) {
      if (const Measured* cell = find(task, {against, ratio})) return cell;
    }
    return nullptr;
  }

  std::vector<Line> lines;
  std::vector<double> ratios;
  std::map<std::pair<std::string, Line>, const Measured*> cells;
};

const char* verdict(const Interval& difference) {
  if (difference.low > 0) return "above";
  if (difference.high < 0) return "below";
  return "cannot tell";  // nan too
}

Table::Section section_of(const Block& block, const Lookup& lookup,
                          const std::vector<std::string>& tasks, const std::string& against) {
  Table::Section section;
  for (size_t i = 0; i < lookup.lines.size(); ++i) {
    const Line& line = lookup.lines[i];
    if (line.first == against) continue;
    std::vector<Stratum> scores, differences;
    std::set<std::pair<std::string, std::string>> contexts;  // of each task
    int64_t n = 0, wins = 0, losses = 0;
    for (const std::string& task : tasks) {
      const Measured* mine = lookup.find(task, line);
      const Measured* theirs = lookup.other(task, line, against);
      if (mine == nullptr || theirs == nullptr) break;
      Pairs pairs = pair_up(*mine, *theirs);
      if (pairs.scores.values.empty()) break;
      n += std::ssize(pairs.scores.values);
      for (const auto& context : pairs.scores.contexts) contexts.emplace(task, context);
      for (const double difference : pairs.differences.values) {
        wins += difference > 0 ? 1 : 0;
        losses += difference < 0 ? 1 : 0;
      }
      scores.push_back(std::move(pairs.scores));
      differences.push_back(std::move(pairs.differences));
    }
    if (scores.size() < tasks.size()) continue;
    const Interval difference = stratified_mean(differences);
    auto& row = section.rows.emplace_back(block.values);
    row.insert(row.end(),
               {tasks.size() == 1 ? tasks[0] : "average", against, line.first, lookup.ratios[i], n,
                std::ssize(contexts), stratified_mean(scores).mean, difference.mean, difference.low,
                difference.high, wins, losses, verdict(difference)});
  }
  return section;
}

}  // namespace

Table paired_table(const std::vector<Block>& blocks, const std::string& against) {
  std::set<std::string> policies;
  for (const Block& block : blocks) {
    for (const Measured* measured : block.cells) policies.insert(measured->cell.policy);
  }
  if (!policies.contains(against)) {
    throw_input_error("--against: {}",
                      unknown_name("policy", against, {policies.begin(), policies.end()}));
  }
  Table table;
  table.columns = block_columns();
  const std::vector<Column> columns = {{"", "task"},
                                       {"", "against"},
                                       {"policy", "policy", Style::kText},
                                       {"ratio", "ratio", Style::kNumber},
                                       {"n", "n", Style::kNumber},
                                       {"contexts", "n_contexts", Style::kNumber},
                                       {"score", "score", Style::kScore},
                                       {"minus " + against, "difference", Style::kSigned},
                                       {"low", "ci_low", Style::kSigned},
                                       {"high", "ci_high", Style::kSigned},
                                       {"wins", "wins", Style::kNumber},
                                       {"losses", "losses", Style::kNumber},
                                       {"verdict", "verdict", Style::kText}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    const Lookup lookup(block);
    const auto add = [&](const std::vector<std::string>& tasks, const std::string& name) {
      table.sections.push_back(section_of(block, lookup, tasks, against));
      table.sections.back().title =
          fmt::format("{}, {}, paired with {}", name, block.title, against);
    };
    if (block.tasks.size() > 1) {
      add(block.tasks, fmt::format("Mean over {} tasks", block.tasks.size()));
    }
    for (const std::string& task : block.tasks) add({task}, task);
  }
  return table;
}

}  // namespace kvbench
