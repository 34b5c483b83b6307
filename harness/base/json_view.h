// The one reader of JSON, which is always other people's: every complaint is one line that names
// the file, the place in it, what was expected there and what was found.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kvbench {

// Throws InputError "PLACE: ..." when the text is not JSON or holds a number beyond a double's
// range.
nlohmann::json parse_json(std::string_view text, const std::string& place);

// As above, of a file; also when it cannot be read.
nlohmann::json read_json(const std::filesystem::path& file);

class JsonView;

// Calls `use` with each record (an object a line) and its line, counted from 0, until it answers
// false. Lines are cut at "\n" only; blank ones are counted but skipped. Places are "FILE:LINE",
// counted from 1.
void for_each_json_line(std::string_view text, const std::string& file,
                        const std::function<bool(const JsonView& record, int64_t line)>& use);

// A value together with the file and the path that lead to it. Refers to the JSON document, which
// must outlive it. Everything throws InputError when the value is not as asked for; null counts as
// absent.
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }

  // Of an object.
  std::optional<JsonView> find(const std::string& key) const;  // nullopt: absent or null
  JsonView at(const std::string& key) const;
  void allow_only(const std::vector<std::string>& keys) const;  // else fails with near matches

  // Of a list.
  size_t size() const;
  JsonView operator[](size_t index) const;
  std::vector<std::string> texts() const;
  std::vector<int64_t> integers(int64_t low, int64_t high) const;

  const std::string& text() const;
  const std::string& filled_text() const;  // a text that is not empty
  bool boolean() const;
  int64_t integer(int64_t low, int64_t high) const;  // low <= value <= high; 2.0 is no integer
  double positive() const;  // a number from 1e-30 to 1e30, which float32 holds with its inverse

  // The value at `key`, or `otherwise` (which is not checked) when there is none.
  std::string text_or(const std::string& key, const std::string& otherwise) const;
  bool boolean_or(const std::string& key, bool otherwise) const;
  int64_t integer_or(const std::string& key, int64_t low, int64_t high, int64_t otherwise) const;

  // Throws "<file>: <path>: <what>".
  [[noreturn]] void fail(const std::string& what) const;
  // The same with "expected <expected>, got <this value>".
  [[noreturn]] void fail_type(const std::string& expected) const;

 private:
  const nlohmann::json* value_;
  std::string file_, path_;
};

}  // namespace kvbench
