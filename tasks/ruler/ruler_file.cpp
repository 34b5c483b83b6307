#include "tasks/ruler/ruler_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "harness/base/error.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

// Non-ASCII as \uXXXX, surrogate pairs above U+FFFF, bytes that are not UTF-8 as U+FFFD.
std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string to_line(const RulerRecord& record) {
  std::vector<std::string> fields;  // in the official order
  const auto add = [&](const char* key, const std::string& value) {
    fields.push_back(fmt::format("\"{}\": {}", key, value));
  };
  const auto add_number = [&](const char* key, const std::optional<int64_t>& value) {
    if (value) add(key, fmt::format("{}", *value));
  };
  std::vector<std::string> outputs;
  for (const std::string& output : record.outputs) outputs.push_back(quoted(output));
  add_number("index", record.index);
  add("input", quoted(record.input));
  add("outputs", fmt::format("[{}]", join(outputs, ", ")));
  add_number("length", record.length);
  add_number("length_w_model_temp", record.length_w_model_temp);
  if (record.answer_prefix) add("answer_prefix", quoted(*record.answer_prefix));
  add_number("token_position_answer", record.token_position_answer);
  return fmt::format("{{{}}}\n", join(fields, ", "));
}

}  // namespace

RulerRecord read_ruler_record(const JsonView& fields, int64_t line) {
  constexpr int64_t kMost = int64_t{1} << 53;
  const auto integer = [&](const char* key) {
    const auto found = fields.find(key);
    return found ? std::optional(found->integer(-kMost, kMost)) : std::nullopt;
  };
  RulerRecord record;
  record.line = line;
  record.index = integer("index");
  const bool is_ruler2 = fields.find("question") && !fields.find("input");
  record.input = fields.at(is_ruler2 ? "question" : "input").text();
  const JsonView outputs = fields.at(is_ruler2 ? "expected_answer" : "outputs");
  record.outputs = outputs.texts();
  if (record.outputs.empty()) outputs.fail_type("a list of at least one string");
  record.length = integer("length");
  record.length_w_model_temp = integer("length_w_model_temp");
  if (const auto prefix = fields.find("answer_prefix")) record.answer_prefix = prefix->text();
  record.token_position_answer = integer("token_position_answer");
  return record;
}

void write_ruler_file(const std::filesystem::path& file, const std::vector<RulerRecord>& records) {
  std::ofstream stream(file, std::ios::binary);
  if (!stream) {
    throw_input_error("{}: cannot be opened for writing: {}", file.string(), strerror(errno));
  }
  for (const RulerRecord& record : records) stream << to_line(record);
  stream.close();
  if (!stream) throw std::runtime_error(fmt::format("{}: writing failed", file.string()));
}

}  // namespace kvbench
