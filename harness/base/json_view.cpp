#include "harness/base/json_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/names.h"

namespace kvbench {

using nlohmann::json;

namespace {

// What a message says was found; short whatever it is, and lists are not walked.
std::string describe(const json& value) {
  constexpr size_t kShown = 60;
  if (value.is_array()) return value.empty() ? "an empty list" : "a list";
  if (value.is_object()) return "an object";
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  const bool cut = text.size() > kShown;
  return json(cut ? text.substr(0, kShown) : text)
             .dump(-1, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) +
         (cut ? "..." : "");
}

}  // namespace

// The library's messages may quote the whole text, so only their numbers are used.
json parse_json(std::string_view text, const std::string& place) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& e) {
    throw_input_error("{}: not valid JSON: malformed at byte {}", place, e.byte);
  } catch (const json::out_of_range& e) {
    const std::string what = e.what();  // "... parsing '1e999'"
    const size_t quote = what.find('\'');
    throw_input_error("{}: not valid JSON: a number is too large: {}", place,
                      quote == what.npos ? "" : what.substr(quote, 40));
  }
}

json read_json(const std::filesystem::path& file) {
  return parse_json(read_file(file), file.string());
}

void for_each_json_line(std::string_view text, const std::string& file,
                        const std::function<bool(const JsonView& record, int64_t line)>& use) {
  for (int64_t line = 0; !text.empty(); ++line) {
    const std::string_view record = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(record.size() + 1, text.size()));
    if (record.find_first_not_of(" \t\r") == record.npos) continue;
    const std::string place = fmt::format("{}:{}", file, line + 1);
    const json value = parse_json(record, place);
    const JsonView view(value, place);
    if (!value.is_object()) view.fail_type("a JSON object");
    if (!use(view, line)) return;
  }
}

std::optional<JsonView> JsonView::find(const std::string& key) const {
  if (!value_->is_object()) fail_type("an object");
  const auto it = value_->find(key);
  if (it == value_->end() || it->is_null()) return std::nullopt;
  return JsonView(*it, file_, path_.empty() ? key : path_ + "." + key);
}

JsonView JsonView::at(const std::string& key) const {
  auto found = find(key);
  if (!found) fail(fmt::format("\"{}\" is missing", key));
  return *found;
}

void JsonView::allow_only(const std::vector<std::string>& keys) const {
  if (!value_->is_object()) fail_type("an object");
  for (const auto& [key, value] : value_->items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      fail(unknown_name("key", key, keys));
    }
  }
}

size_t JsonView::size() const {
  if (!value_->is_array()) fail_type("a list");
  return value_->size();
}

JsonView JsonView::operator[](size_t index) const {
  if (index >= size()) fail(fmt::format("expected more than {} items", index));
  return JsonView((*value_)[index], file_, fmt::format("{}[{}]", path_, index));
}

std::vector<std::string> JsonView::texts() const {
  std::vector<std::string> all;
  for (size_t i = 0; i < size(); ++i) all.push_back((*this)[i].text());
  return all;
}

std::vector<int64_t> JsonView::integers(int64_t low, int64_t high) const {
  std::vector<int64_t> all;
  for (size_t i = 0; i < size(); ++i) all.push_back((*this)[i].integer(low, high));
  return all;
}

const std::string& JsonView::text() const {
  if (!value_->is_string()) fail_type("a string");
  return value_->get_ref<const std::string&>();
}

const std::string& JsonView::filled_text() const {
  if (text().empty()) fail("expected a text that is not empty");
  return text();
}

bool JsonView::boolean() const {
  if (!value_->is_boolean()) fail_type("true or false");
  return value_->get<bool>();
}

int64_t JsonView::integer(int64_t low, int64_t high) const {
  // Unsigned numbers above the int64 range would wrap in get<int64_t>().
  const bool fits =
      value_->is_number_integer() && (!value_->is_number_unsigned() ||
                                      value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  const int64_t number = fits ? value_->get<int64_t>() : 0;
  if (!fits || number < low || number > high) {
    fail_type(fmt::format("an integer from {} to {}", low, high));
  }
  return number;
}

double JsonView::positive() const {
  if (!value_->is_number() || !(value_->get<double>() > 0)) fail_type("a positive number");
  const auto number = value_->get<double>();
  if (!(number >= 1e-30 && number <= 1e30)) fail_type("a number from 1e-30 to 1e30");
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

int64_t JsonView::integer_or(const std::string& key, int64_t low, int64_t high,
                             int64_t otherwise) const {
  const auto found = find(key);
  return found ? found->integer(low, high) : otherwise;
}

void JsonView::fail(const std::string& what) const {
  throw_input_error("{}: {}{}{}", file_, path_, path_.empty() ? "" : ": ", what);
}

void JsonView::fail_type(const std::string& expected) const {
  fail(fmt::format("expected {}, got {}", expected, describe(*value_)));
}

}  // namespace kvbench
