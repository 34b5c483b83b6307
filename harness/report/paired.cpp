#include "harness/report/paired.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/report/comparison.h"

namespace kvbench {
namespace {

using Line = std::pair<std::string, std::string>;  // policy, ratio as text

Line line_of(const CellRow& cell) { return {cell.policy, ratio_text(cell.ratio)}; }

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

Table::Section section_of(const Block& block, const Lookup& lookup,
                          const std::vector<std::string>& tasks, const std::string& name,
                          const std::string& against) {
  std::vector<size_t> lines;  // of lookup.lines
  std::vector<Comparison> family;
  for (size_t i = 0; i < lookup.lines.size(); ++i) {
    const Line& line = lookup.lines[i];
    if (line.first == against) continue;
    std::vector<Pairs> pairs;
    for (const std::string& task : tasks) {
      const Measured* mine = lookup.find(task, line);
      const Measured* theirs = lookup.other(task, line, against);
      pairs.push_back(mine == nullptr || theirs == nullptr ? Pairs{} : pair_up(*mine, *theirs));
    }
    Comparison comparison = compare(pairs);
    if (comparison.n == 0) continue;
    lines.push_back(i);
    family.push_back(std::move(comparison));
  }
  judge_family(family);
  Table::Section section;
  section.title = fmt::format("{}, {}, paired with {}; p after Holm, family of {}", name,
                              block.title, against, family.size());
  for (size_t i = 0; i < family.size(); ++i) {
    const Comparison& c = family[i];
    auto& row = section.rows.emplace_back(block.values);
    row.insert(row.end(), {tasks.size() == 1 ? tasks[0] : "average", against,
                           lookup.lines[lines[i]].first, lookup.ratios[lines[i]], c.n, c.n_contexts,
                           c.score, c.difference.mean, c.difference.low, c.difference.high, c.wins,
                           c.ties, c.losses, c.p, p_text(c.p_holm), c.p_holm, c.verdict});
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
                                       {"ties", "ties", Style::kNumber},
                                       {"losses", "losses", Style::kNumber},
                                       {"", "p"},
                                       {"p", "", Style::kNumber},
                                       {"", "p_holm"},
                                       {"verdict", "verdict", Style::kText}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    const Lookup lookup(block);
    const auto add = [&](const std::vector<std::string>& tasks, const std::string& name) {
      table.sections.push_back(section_of(block, lookup, tasks, name, against));
    };
    if (block.tasks.size() > 1) {
      add(block.tasks, fmt::format("Mean over {} tasks", block.tasks.size()));
    }
    for (const std::string& task : block.tasks) add({task}, task);
  }
  return table;
}

}  // namespace kvbench
