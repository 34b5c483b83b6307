// Titles that name what tells the parts of a report apart.
#pragma once

#include <string>
#include <vector>

#include "harness/results/run_info.h"

namespace kvbench {

// One property of a part: "dtype" "float32".
struct Fact {
  std::string word;   // what titles call it; may be empty
  std::string value;  // empty = not known
  // Named only where the facts before leave two parts alike, and not where it is empty: hashes,
  // which follow from other facts as a rule and tell people little.
  bool last_resort = false;
};

// For each part (all have the same facts in the same order) the facts that are not the same in all
// of them, as "dtype float32, seed 7"; empty when nothing differs.
std::vector<std::string> differences(const std::vector<std::vector<Fact>>& parts);

// Model, dtype and what else decides answers.
std::vector<Fact> identity_facts(const RunInfo& run);

// As much of a hash as tells a few apart.
std::string first_digits(const std::string& hash);

}  // namespace kvbench
