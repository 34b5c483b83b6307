// LongBench's own files: one item a line, JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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

// The first `limit` items of a file of `set` (0: all of them), in its order. Lines end at "\n"
// alone and may be of any size; a BOM in front, a "\r" at a line's end and blank lines do not
// count; fields not named above are ignored.
//
// Throws InputError "FILE:LINE: ..." for what is not JSON or not UTF-8 (a \u escape of half a
// surrogate pair is neither), for input, context or answers that are missing or of the wrong type,
// an empty context, no answers, and answers that the set's metric cannot grade; without a line when
// there are no items or fewer than `limit`.
std::vector<LongBenchItem> read_longbench_file(const std::filesystem::path& file,
                                               const LongBenchSet& set, int64_t limit = 0);

}  // namespace kvbench::longbench
