#include "tasks/ruler/ruler_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using Json = nlohmann::json;

// A record of one line; every complaint begins with the place.
class LineReader {
 public:
  LineReader(std::string place, const std::string& line) : place_(std::move(place)) {
    // The library's own message may quote the whole (long) line, so only its position is used.
    try {
      object_ = Json::parse(line);
    } catch (const Json::parse_error& error) {
      throw_input_error("{}: expected a JSON object, got malformed JSON at byte {}", place_,
                        error.byte);
    }
    if (!object_.is_object()) {
      throw_input_error("{}: expected a JSON object, got {}", place_, with_article(object_));
    }
  }

  std::string text(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) throw_input_error("{}: field \"{}\" is missing", place_, key);
    return string_of(*value, key);
  }

  std::optional<std::string> optional_text(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    return string_of(*value, key);
  }

  std::optional<int64_t> optional_integer(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number_integer()) wrong_type(key, "an integer", *value);
    return value->get<int64_t>();
  }

  std::vector<std::string> texts(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) throw_input_error("{}: field \"{}\" is missing", place_, key);
    if (!value->is_array()) wrong_type(key, "a list of strings", *value);
    if (value->empty()) {
      throw_input_error("{}: field \"{}\": expected at least one string, got an empty list", place_,
                        key);
    }
    std::vector<std::string> all;
    for (const Json& item : *value) {
      if (!item.is_string()) wrong_type(key, "a list of strings", item);
      all.push_back(item.get<std::string>());
    }
    return all;
  }

 private:
  const Json* find(const char* key) const {
    const auto it = object_.find(key);
    return it == object_.end() ? nullptr : &*it;
  }

  std::string string_of(const Json& value, const char* key) const {
    if (!value.is_string()) wrong_type(key, "a string", value);
    return value.get<std::string>();
  }

  static std::string with_article(const Json& value) {
    if (value.is_null()) return "null";
    const std::string name = value.type_name();
    return (name == "array" || name == "object" ? "an " : "a ") + name;
  }

  [[noreturn]] void wrong_type(const char* key, const char* expected, const Json& got) const {
    throw_input_error("{}: field \"{}\": expected {}, got {}", place_, key, expected,
                      with_article(got));
  }

  std::string place_;
  Json object_;
};

RulerRecord parse_record(const std::string& place, const std::string& line) {
  const LineReader reader(place, line);
  RulerRecord record;
  record.index = reader.optional_integer("index");
  record.input = reader.text("input");
  record.outputs = reader.texts("outputs");
  record.length = reader.optional_integer("length");
  record.length_w_model_temp = reader.optional_integer("length_w_model_temp");
  record.answer_prefix = reader.optional_text("answer_prefix");
  record.token_position_answer = reader.optional_integer("token_position_answer");
  return record;
}

// Non-ASCII as \uXXXX, surrogate pairs above U+FFFF, bytes that are not UTF-8 as U+FFFD.
std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
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

std::vector<RulerRecord> read_ruler_file(const std::filesystem::path& file, int64_t limit) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) {
    throw_input_error("{}: cannot be read, expected a RULER file (JSON lines)", file.string());
  }
  std::vector<RulerRecord> records;
  std::string line;
  for (int64_t number = 0; std::getline(stream, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    records.push_back(parse_record(fmt::format("{}:{}", file.string(), number + 1), line));
    records.back().line = number;
    if (static_cast<int64_t>(records.size()) == limit) return records;
  }
  if (stream.bad()) throw_input_error("{}: reading failed: {}", file.string(), strerror(errno));
  if (records.empty()) throw_input_error("{}: there are no samples in it", file.string());
  if (limit > 0) {
    throw_input_error("{}: {} samples were asked for, the file has {}", file.string(), limit,
                      records.size());
  }
  return records;
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
