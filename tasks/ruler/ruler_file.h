// RULER's own files: one JSON object per line, <dir>/<task>/validation.jsonl. RULERv2's are read
// too (test.jsonl); there `input` is called `question` and `outputs` `expected_answer`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/json_view.h"

namespace kvbench {

// One line. The prompt is input + answer_prefix.
struct RulerRecord {
  int64_t line = 0;  // 0-based, of the file it was read from; the identity of a sample
  // Not an identity: in niah the offset of the first answer in `input`, in code points.
  std::optional<int64_t> index;
  std::string input;
  std::vector<std::string> outputs;
  // Tokens of the prompt + tokens_to_generate. Absent in files of other makers.
  std::optional<int64_t> length, length_w_model_temp;
  std::optional<std::string> answer_prefix;      // absent in older files: `input` ends with it
  std::optional<int64_t> token_position_answer;  // niah: tokens of `input` up to the first answer

  std::string prompt() const { return input + answer_prefix.value_or(""); }
  bool operator==(const RulerRecord&) const = default;
};

// Throws InputError with the record's place for a missing field, a wrong type or an empty list of
// outputs.
RulerRecord read_ruler_record(const JsonView& fields, int64_t line);

// Byte for byte what the official writer (json.dump with ensure_ascii) makes of the same fields.
// Throws InputError when the file cannot be opened, std::runtime_error when writing fails.
void write_ruler_file(const std::filesystem::path& file, const std::vector<RulerRecord>& records);

}  // namespace kvbench
