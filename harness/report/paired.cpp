#include "harness/report/paired.h"

#include <fmt/format.h>

#include <utility>

#include "harness/report/cell_index.h"
#include "harness/report/comparison.h"

namespace kvbench {
namespace {

Table::Section section_of(const Block& block, const CellIndex& index,
                          const std::vector<std::string>& tasks, const std::string& against) {
  std::vector<CellIndex::Line> lines;
  std::vector<Comparison> family;
  for (const CellIndex::Line& line : index.lines()) {
    if (line.policy == against) continue;
    std::vector<Pairs> pairs;
    for (const std::string& task : tasks) {
      const Measured* mine = index.find(task, line);
      const Measured* theirs = index.partner(task, line, against);
      pairs.push_back(mine == nullptr || theirs == nullptr ? Pairs{} : pair_up(*mine, *theirs));
    }
    Comparison comparison = compare(pairs);
    if (comparison.n == 0) continue;
    lines.push_back(line);
    family.push_back(std::move(comparison));
  }
  judge_family(family);
  const std::string name =
      tasks.size() == 1 ? tasks[0] : fmt::format("Mean over {} tasks", tasks.size());
  Table::Section section;
  section.title = fmt::format("{}, {}, paired with {}; p after Holm, family of {}", name,
                              block.title, against, family.size());
  for (size_t i = 0; i < family.size(); ++i) {
    const Comparison& c = family[i];
    auto& row = section.rows.emplace_back(block.values);
    row.insert(row.end(),
               {tasks.size() == 1 ? tasks[0] : "average", against, lines[i].policy, lines[i].ratio,
                c.n, c.n_contexts, c.score, c.difference.mean, c.difference.low, c.difference.high,
                c.wins, c.ties, c.losses, c.p, p_text(c.p_holm), c.p_holm, c.verdict});
  }
  return section;
}

}  // namespace

Table paired_table(const std::vector<Block>& blocks, const std::string& against) {
  check_against(blocks, against);
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
    const CellIndex index(block);
    for (const auto& tasks : task_groups(block)) {
      table.sections.push_back(section_of(block, index, tasks, against));
    }
  }
  return table;
}

}  // namespace kvbench
