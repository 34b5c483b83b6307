// The cells of a block by task, policy and ratio.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

class CellIndex {
 public:
  // A policy at a ratio; nan: with a budget of its own.
  struct Line {
    std::string policy;
    double ratio;
  };

  explicit CellIndex(const Block& block);

  const std::vector<Line>& lines() const { return lines_; }  // in the order of the cells

  // nullptr where there is none.
  const Measured* find(const std::string& task, const Line& line) const;

  // The cell of policy `against` to compare `line` with: at the same ratio, or its only one (that
  // of the full cache, or of a policy with a budget of its own); nullptr where there is none.
  const Measured* partner(const std::string& task, const Line& line,
                          const std::string& against) const;

 private:
  std::vector<Line> lines_;
  std::map<std::tuple<std::string, std::string, std::string>, const Measured*> cells_;
};

// What lines are over: all tasks of the block together, where there are several, then each alone.
std::vector<std::vector<std::string>> task_groups(const Block& block);

// The name of the full cache's policy in the block; "" where it was not run.
std::string full_policy(const Block& block);

// Throws InputError, with near matches, when no block has the policy.
void check_against(const std::vector<Block>& blocks, const std::string& against);

}  // namespace kvbench
