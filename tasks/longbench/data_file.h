// LongBench's own files: one item a line, JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/json_view.h"
#include "tasks/longbench/sets.h"

namespace kvbench::longbench {

struct LongBenchItem {
  int64_t line = 0;  // counted from 0, blank lines too
  std::string id;    // _id; empty when the line has none
  std::string input, context;
  std::vector<std::string> answers;
  std::vector<std::string> classes;  // all_classes; empty when absent or null
  std::optional<int64_t> length;     // words, or characters in Chinese
};

// The item of a line of a file of `set`. Fields not named above are ignored.
//
// Throws InputError with the line's place for input, context or answers that are missing or of the
// wrong type, an empty context, no answers, and answers that the set's metric cannot grade.
LongBenchItem read_longbench_item(const JsonView& record, const LongBenchSet& set, int64_t line);

}  // namespace kvbench::longbench
