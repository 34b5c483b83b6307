// Strict reading of other people's JSON files: every complaint names the file, the place in it and
// what was expected there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

namespace kvbench {

// Throws InputError when the file cannot be read or is not JSON.
nlohmann::json read_json(const std::filesystem::path& file);

// A value together with the file and the path that lead to it. Refers to the JSON document, which
// must outlive it. Everything but find() throws InputError when the value is not as asked for.
class JsonView {
 public:
  JsonView(const nlohmann::json& value, std::string file, std::string path = "")
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }

  std::optional<JsonView> find(const std::string& key) const;  // nullopt: absent or null
  JsonView at(const std::string& key) const;
  size_t size() const;  // of an array
  JsonView operator[](size_t index) const;

  const std::string& text() const;
  bool boolean() const;
  int64_t integer(int64_t low, int64_t high) const;  // low <= value <= high

  // The string at `key`, or `otherwise` when it is absent or null.
  std::string text_or(const std::string& key, const std::string& otherwise) const;
  bool boolean_or(const std::string& key, bool otherwise) const;

  // Throws "<file>: <path>: <what>".
  [[noreturn]] void fail(const std::string& what) const;

 private:
  [[noreturn]] void wrong_type(const std::string& expected) const;

  const nlohmann::json* value_;
  std::string file_, path_;
};

}  // namespace kvbench
