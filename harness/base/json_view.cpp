#include "harness/base/json_view.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/files.h"

namespace kvbench {

using nlohmann::json;

json read_json(const std::filesystem::path& file) {
  try {
    return json::parse(read_file(file));
  } catch (const json::exception& e) {
    throw_input_error("{}: not a JSON file: {}", file.string(), e.what());
  }
}

std::optional<JsonView> JsonView::find(const std::string& key) const {
  if (!value_->is_object()) wrong_type("an object");
  const auto it = value_->find(key);
  if (it == value_->end() || it->is_null()) return std::nullopt;
  return JsonView(*it, file_, path_.empty() ? key : path_ + "." + key);
}

JsonView JsonView::at(const std::string& key) const {
  auto found = find(key);
  if (!found) fail(fmt::format("expected a value \"{}\", which is missing", key));
  return *found;
}

size_t JsonView::size() const {
  if (!value_->is_array()) wrong_type("a list");
  return value_->size();
}

JsonView JsonView::operator[](size_t index) const {
  if (index >= size()) fail(fmt::format("expected more than {} items", index));
  return JsonView((*value_)[index], file_, fmt::format("{}[{}]", path_, index));
}

const std::string& JsonView::text() const {
  if (!value_->is_string()) wrong_type("a string");
  return value_->get_ref<const std::string&>();
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) wrong_type("true or false");
  return value_->get<bool>();
}

int64_t JsonView::integer(int64_t low, int64_t high) const {
  const std::string expected = fmt::format("an integer from {} to {}", low, high);
  if (!value_->is_number_integer()) wrong_type(expected);
  // Unsigned numbers above the int64 range would wrap in get<int64_t>().
  if (value_->is_number_unsigned() && value_->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    wrong_type(expected);
  }
  const auto number = value_->get<int64_t>();
  if (number < low || number > high) wrong_type(expected);
  return number;
}

std::string JsonView::text_or(const std::string& key, const std::string& otherwise) const {
  const auto found = find(key);
  return found ? found->text() : otherwise;
}

bool JsonView::boolean_or(const std::string& key, bool otherwise) const {
  const auto found = find(key);
  return found ? found->boolean() : otherwise;
}

void JsonView::fail(const std::string& what) const {
  throw InputError(fmt::format("{}: {}{}{}", file_, path_, path_.empty() ? "" : ": ", what));
}

void JsonView::wrong_type(const std::string& expected) const {
  std::string got = value_->dump(-1, ' ', true, json::error_handler_t::replace);
  if (got.size() > 60) got = got.substr(0, 57) + "...";
  fail(fmt::format("expected {}, got {}", expected, got));
}

}  // namespace kvbench
