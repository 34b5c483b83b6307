#include "harness/results/run_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <sstream>
#include <string_view>
#include <vector>

namespace kvbench {
namespace {

struct Attribute {
  std::string name, text;
  bool is_identity;
};

std::vector<Attribute> flatten(const RunInfo& info) {
  std::vector<Attribute> all;
  visit_attributes(info, [&](const char* name, const auto& value, bool is_identity) {
    all.push_back({name, fmt::format("{}", value), is_identity});
  });
  return all;
}

// What a user calls the parts of the identity that are hashes.
std::string changed(const std::string& name, const std::string& before, const std::string& now) {
  const std::map<std::string, std::string> hashed = {
      {"model_hash", "the model's weights or config.json are not those of the file"},
      {"tokenizer_hash", "the model's tokenizer.json is not that of the file"},
      {"prompt_hash",
       "the prompt around a text (chat template, BOS, chat_template:) is not that of the file"}};
  if (const auto it = hashed.find(name); it != hashed.end()) return it->second;
  return fmt::format("{} is {} in the file, {} now", name == "end_tokens" ? "end tokens" : name,
                     before, now);
}

// Lines of `more` that `lines` lacks go behind.
void add_lines(std::string& lines, const std::string& more) {
  std::istringstream in(more);
  for (std::string line; std::getline(in, line);) {
    if (("\n" + lines).find("\n" + line + "\n") == std::string::npos) lines += line + "\n";
  }
}

}  // namespace

void write_run(const h5::File& file, const RunInfo& info, const RunState& state) {
  h5::write_attribute(file, "/", "schema_version", kSchemaVersion);
  h5::write_attribute(file, "/", "complete", int64_t{state.complete});
  h5::write_attribute(file, "/", "start_time", state.start_time);
  h5::write_attribute(file, "/", "end_time", state.end_time);
  h5::write_attribute(file, "/", "sessions", state.sessions);
  h5::write_attribute(file, "/", "merged_from", state.merged_from);
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
  // Files made before runs could be split lack both of these.
  if (h5::has_attribute(file, "/", "merged_from")) {
    state.merged_from = h5::read_attribute<std::string>(file, "/", "merged_from");
  }
  visit_attributes(info, [&](const char* name, auto& value, bool) {
    const bool may_be_missing = version < kSchemaVersion || std::string_view(name) == "shard";
    if (may_be_missing && !h5::has_attribute(file, "/", name)) return;
    value = h5::read_attribute<std::decay_t<decltype(value)>>(file, "/", name);
  });
}

std::string identity_text(const RunInfo& info) {
  std::string text;
  for (const Attribute& attribute : flatten(info)) {
    if (attribute.is_identity) text += fmt::format("{} {}\n", attribute.name, attribute.text);
  }
  return text;
}

std::string identity_difference(const RunInfo& stored, const RunInfo& now) {
  const auto before = flatten(stored), after = flatten(now);
  for (size_t i = 0; i < before.size(); ++i) {
    if (!before[i].is_identity || before[i].text == after[i].text) continue;
    return changed(before[i].name, before[i].text, after[i].text);
  }
  return "";
}

std::string session_line(const RunInfo& first, const RunInfo& now, int64_t lost_rows,
                         const std::string& time) {
  const auto before = flatten(first), after = flatten(now);
  std::string line = time;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].is_identity || before[i].text == after[i].text) continue;
    if (before[i].name == "config") continue;  // the file holds the latest whole
    std::string value = after[i].text;
    std::replace(value.begin(), value.end(), '\n', ' ');
    line += fmt::format(" {}={}", after[i].name, value);
  }
  if (lost_rows > 0) line += fmt::format(" lost_rows={}", lost_rows);
  return line + "\n";
}

void add_facts(RunInfo& info, const RunInfo& now) {
  info.config = now.config;
  info.shard = now.shard;
  add_lines(info.data_hashes, now.data_hashes);
  add_lines(info.file_hashes, now.file_hashes);
  add_lines(info.plugin_hashes, now.plugin_hashes);
  add_lines(info.seeds, now.seeds);
}

std::string utc_now(const char* format) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format(fmt::runtime(fmt::format("{{:{}}}", format)), fmt::gmtime(now));
}

}  // namespace kvbench
