#include "harness/report/cell_index.h"

#include <algorithm>
#include <set>

#include "harness/base/error.h"
#include "harness/base/names.h"

namespace kvbench {

CellIndex::CellIndex(const Block& block) {
  for (const Measured* measured : block.cells) {
    const CellRow& cell = measured->cell;
    const std::string ratio = ratio_text(cell.ratio);
    const auto is_same = [&](const Line& line) {
      return line.policy == cell.policy && ratio_text(line.ratio) == ratio;
    };
    if (std::none_of(lines_.begin(), lines_.end(), is_same)) {
      lines_.push_back({cell.policy, cell.ratio});
    }
    cells_[{cell.task, cell.policy, ratio}] = measured;
  }
}

const Measured* CellIndex::find(const std::string& task, const Line& line) const {
  const auto cell = cells_.find({task, line.policy, ratio_text(line.ratio)});
  return cell == cells_.end() ? nullptr : cell->second;
}

const Measured* CellIndex::partner(const std::string& task, const Line& line,
                                   const std::string& against) const {
  for (const double ratio : {line.ratio, 0.0, static_cast<double>(NAN)}) {
    if (const Measured* cell = find(task, {against, ratio})) return cell;
  }
  return nullptr;
}

std::vector<std::vector<std::string>> task_groups(const Block& block) {
  std::vector<std::vector<std::string>> groups;
  if (block.tasks.size() > 1) groups.push_back(block.tasks);
  for (const std::string& task : block.tasks) groups.push_back({task});
  return groups;
}

std::string full_policy(const Block& block) {
  const auto full = std::find_if(block.cells.begin(), block.cells.end(),
                                 [](const Measured* measured) { return is_full(measured->cell); });
  return full == block.cells.end() ? "" : (*full)->cell.policy;
}

void check_against(const std::vector<Block>& blocks, const std::string& against) {
  std::set<std::string> policies;
  for (const Block& block : blocks) {
    for (const Measured* measured : block.cells) policies.insert(measured->cell.policy);
  }
  if (!policies.contains(against)) {
    throw_input_error("--against: {}",
                      unknown_name("policy", against, {policies.begin(), policies.end()}));
  }
}

}  // namespace kvbench
