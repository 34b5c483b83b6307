#include "harness/base/params.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml.h"

namespace kvbench {
namespace {

template <class T>
bool parse_number(const std::string& text, T& value) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc() && end == text.data() + text.size();
}

}  // namespace

Params::Params(std::string owner, std::string origin, std::vector<Given> given)
    : owner_(std::move(owner)), origin_(std::move(origin)), given_(std::move(given)) {}

const Params::Given* Params::find(const std::string& key) const {
  const auto it = std::find_if(given_.begin(), given_.end(),
                               [&](const Given& given) { return given.key == key; });
  return it == given_.end() ? nullptr : &*it;
}

const std::string& Params::file_of(const Given* given) const {
  return given != nullptr && !given->file.empty() ? given->file : origin_;
}

std::string Params::place(const std::string& key) const {
  const Given* given = find(key);
  const std::string& file = file_of(given);
  if (file.empty()) return owner_;
  return fmt::format("{}: {}", place_of(file, given != nullptr ? given->line : 0), owner_);
}

void Params::get(const std::string& key, int64_t& value, const std::string& doc) {
  if (const Given* given = find(key); given != nullptr && !parse_number(given->text, value)) {
    throw_input_error("{}: {}: expected an integer, got \"{}\"", place(key), key, given->text);
  }
  described_.push_back({key, fmt::format("{}", value), doc});
}

void Params::get(const std::string& key, double& value, const std::string& doc) {
  if (const Given* given = find(key);
      given != nullptr && !(parse_number(given->text, value) && std::isfinite(value))) {
    throw_input_error("{}: {}: expected a number, got \"{}\"", place(key), key, given->text);
  }
  described_.push_back({key, fmt::format("{}", value), doc});
}

void Params::get(const std::string& key, bool& value, const std::string& doc) {
  if (const Given* given = find(key); given != nullptr) {
    if (given->text != "true" && given->text != "false") {
      throw_input_error("{}: {}: expected true or false, got \"{}\"", place(key), key, given->text);
    }
    value = given->text == "true";
  }
  described_.push_back({key, value ? "true" : "false", doc});
}

void Params::get(const std::string& key, std::string& value, const std::string& doc) {
  if (const Given* given = find(key); given != nullptr) value = given->text;
  described_.push_back({key, value, doc});
}

void Params::file(const std::string& key, std::filesystem::path& path, const std::string& doc) {
  std::string hash;
  if (const Given* given = find(key); given != nullptr) {
    const std::filesystem::path source = given->line > 0 ? file_of(given) : "";
    path = resolve_path(given->text, source.parent_path());
    std::error_code ignored;
    require(std::filesystem::is_regular_file(path, ignored), key,
            fmt::format("no such file: {}", path.string()));
    hash = sha256_file(path);
    file_hashes_ += fmt::format("{} {}\n", path.string(), hash);
  }
  described_.push_back({key, hash, doc});
}

std::string Params::pick(const std::string& key, const std::string& value,
                         const std::vector<std::string>& choices, const std::string& doc) {
  const Given* given = find(key);
  const std::string picked = given != nullptr ? given->text : value;
  if (std::find(choices.begin(), choices.end(), picked) == choices.end()) {
    throw_input_error("{}: {}", place(key), unknown_name(key, picked, choices));
  }
  described_.push_back({key, picked, fmt::format("{} ({})", doc, fmt::join(choices, ", "))});
  return picked;
}

void Params::require_range(const std::string& key, double value, double low, double high) const {
  require(value >= low && value <= high, key,
          std::isinf(high) ? fmt::format("expected at least {}, got {}", low, value)
                           : fmt::format("expected {} to {}, got {}", low, high, value));
}

void Params::require(bool ok, const std::string& key, const std::string& what) const {
  if (!ok) throw_input_error("{}: {}: {}", place(key), key, what);
}

void Params::finish() const {
  std::vector<std::string> known;
  for (const auto& described : described_) known.push_back(described.key);
  for (const auto& given : given_) {
    if (std::find(known.begin(), known.end(), given.key) == known.end()) {
      throw_input_error("{}: {}", place(given.key), unknown_name("parameter", given.key, known));
    }
  }
}

std::string Params::canonical() const {
  std::vector<std::string> parts;
  for (const auto& described : described_) {
    parts.push_back(fmt::format("{}={}", described.key, described.value));
  }
  std::sort(parts.begin(), parts.end());
  return fmt::format("{}", fmt::join(parts, ","));
}

}  // namespace kvbench
