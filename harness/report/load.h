// Results files, read and joined for a report.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/report/join.h"

namespace kvbench {

struct Loaded {
  Joined joined;                     // its warnings included
  std::vector<std::string> origins;  // one line a file: where its numbers come from
};

// With `regrade` scores are made anew from the stored predictions (regrade.h), and a warning says
// how many are not the stored ones. Throws InputError for a file that cannot be read.
Loaded load(const std::vector<std::filesystem::path>& files, bool regrade);

}  // namespace kvbench
