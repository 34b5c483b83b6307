#include "harness/results/run_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <vector>

namespace kvbench {
namespace {

std::string shown(const YAML::Node& node) {
  if (!node.IsDefined()) return "absent";
  if (node.IsScalar()) return node.Scalar();
  YAML::Emitter out;
  out << YAML::Flow << node;
  std::string text = out.c_str();
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

std::vector<std::string> keys_of(const YAML::Node& a, const YAML::Node& b) {
  std::vector<std::string> keys;
  for (const auto& map : {a, b}) {
    for (const auto& entry : map) {
      const auto key = entry.first.as<std::string>();
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

std::string compare(const std::string& place, const YAML::Node& a, const YAML::Node& b) {
  if (a.IsDefined() && b.IsDefined() && a.Type() == b.Type()) {
    if (a.IsScalar() && a.Scalar() == b.Scalar()) return "";
    if (a.IsNull()) return "";
    if (a.IsMap()) {
      for (const auto& key : keys_of(a, b)) {
        if (place.empty() && key == "output") continue;
        const std::string inner = place.empty() ? key : place + "." + key;
        if (auto found = compare(inner, a[key], b[key]); !found.empty()) return found;
      }
      return "";
    }
    if (a.IsSequence()) {
      for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
        // A const node answers an index past the end with an undefined node instead of adding one.
        const YAML::Node& left = a;
        const YAML::Node& right = b;
        const auto inner = fmt::format("{}[{}]", place, i);
        if (auto found = compare(inner, left[i], right[i]); !found.empty()) return found;
      }
      return "";
    }
  }
  return fmt::format("{} is {} in the file, {} now", place, shown(a), shown(b));
}

struct Attribute {
  std::string name, text;
  bool same;
};

std::vector<Attribute> flatten(const RunInfo& info) {
  std::vector<Attribute> all;
  visit_attributes(info, [&](const char* name, const auto& value, bool same) {
    all.push_back({name, fmt::format("{}", value), same});
  });
  return all;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string first_line_difference(const std::string& a, const std::string& b) {
  const auto left = lines_of(a), right = lines_of(b);
  for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const std::string before = i < left.size() ? left[i] : "absent";
    const std::string after = i < right.size() ? right[i] : "absent";
    if (before != after) return fmt::format("{} in the file, {} now", before, after);
  }
  return "texts differ";
}

}  // namespace

void write_run(const h5::File& file, const RunInfo& info, const RunState& state) {
  h5::write_attribute(file, "/", "schema_version", kSchemaVersion);
  h5::write_attribute(file, "/", "complete", int64_t{state.complete});
  h5::write_attribute(file, "/", "start_time", state.start_time);
  h5::write_attribute(file, "/", "end_time", state.end_time);
  h5::write_attribute(file, "/", "sessions", state.sessions);
  visit_attributes(info, [&](const char* name, const auto& value, bool) {
    h5::write_attribute(file, "/", name, value);
  });
}

void read_run(const h5::File& file, RunInfo& info, RunState& state) {
  if (!h5::has_attribute(file, "/", "schema_version")) file.fail("/", "not a results file");
  const auto version = h5::read_attribute<int64_t>(file, "/", "schema_version");
  if (version < 1 || version > kSchemaVersion) {
    file.fail("/", fmt::format("schema version {}, expected 1 to {}", version, kSchemaVersion));
  }
  state.schema_version = version;
  state.complete = h5::read_attribute<int64_t>(file, "/", "complete") != 0;
  state.start_time = h5::read_attribute<std::string>(file, "/", "start_time");
  state.end_time = h5::read_attribute<std::string>(file, "/", "end_time");
  state.sessions = h5::read_attribute<std::string>(file, "/", "sessions");
  visit_attributes(info, [&](const char* name, auto& value, bool) {
    value = h5::read_attribute<std::decay_t<decltype(value)>>(file, "/", name);
  });
}

std::string first_difference(const RunInfo& stored, const RunInfo& now) {
  auto found = compare("", YAML::Load(stored.config), YAML::Load(now.config));
  const auto before = flatten(stored), after = flatten(now);
  for (size_t i = 0; i < before.size() && found.empty(); ++i) {
    if (!before[i].same || before[i].name == "config" || before[i].text == after[i].text) continue;
    found =
        fmt::format("{}: {}", before[i].name, first_line_difference(before[i].text, after[i].text));
  }
  return found;
}

std::string session_line(const RunInfo& first, const RunInfo& now, int64_t lost_rows,
                         const std::string& time) {
  const auto before = flatten(first), after = flatten(now);
  std::string line = time;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].same || before[i].text == after[i].text) continue;
    std::string value = after[i].text;
    std::replace(value.begin(), value.end(), '\n', ' ');
    line += fmt::format(" {}={}", after[i].name, value);
  }
  if (lost_rows > 0) line += fmt::format(" lost_rows={}", lost_rows);
  return line + "\n";
}

std::string utc_now(const char* format) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format(fmt::runtime(fmt::format("{{:{}}}", format)), fmt::gmtime(now));
}

}  // namespace kvbench
