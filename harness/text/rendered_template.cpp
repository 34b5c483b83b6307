#include "harness/text/rendered_template.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"

namespace kvbench::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path script() { return project_root() / "harness/toolchain/chat_template.py"; }

// Of versions.env: what set-up installs, and the script insists on.
std::string jinja2_version() {
  const auto file = project_root() / "harness/toolchain/versions.env";
  std::ifstream in(file);
  const std::string key = "JINJA2_VERSION=";
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return line.substr(key.size());
  }
  throw_input_error("{}: {} is missing", file.string(), key);
}

// Everything that decides what is rendered.
std::string key_of(const json& request) {
  return sha256_hex(request.dump() + "\n" + read_file(script()));
}

std::string checksum(const json& entry) {
  return sha256_hex(json({entry.at("key"), entry.at("prefix"), entry.at("suffix"),
                          entry.at("fixed_date"), entry.at("trims")})
                        .dump());
}

Frame frame_of(const json& entry) {
  return {entry.at("prefix").get<std::string>(), entry.at("suffix").get<std::string>(),
          entry.at("fixed_date").get<bool>(), entry.at("trims").get<std::string>()};
}

// nullopt: not there, or not whole.
std::optional<Frame> read_cached(const fs::path& file, const std::string& key) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  const json entry = json::parse(in, nullptr, /*allow_exceptions=*/false);
  try {
    if (entry.at("key") == key && entry.at("checksum") == checksum(entry)) return frame_of(entry);
  } catch (const json::exception&) {  // not what was written
  }
  return std::nullopt;
}

// The script's answer: prefix, suffix, fixed_date and trims.
json run_script(const json& request, const std::string& place) {
  const std::string python = (deps_dir() / "venv/bin/python").string();
  const std::string set_up = "; run harness/toolchain/setup.sh base";
  if (!fs::exists(python)) {
    throw_input_error("{}: there is no {} to render the chat template with{}", place, python,
                      set_up);
  }
  const auto output = output_of({python, "-I", script().string()}, request.dump());
  const json answer = json::parse(output.value_or(""), nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object()) {
    throw_input_error(
        "{}: the chat template takes more than the 2 s or 1 GiB that it may; `chat_template: "
        "false` runs without one",
        place);
  }
  if (answer.contains("setup")) {
    throw_input_error("{}: the chat template cannot be rendered: {}{}", place,
                      answer.at("setup").get<std::string>(), set_up);
  }
  if (answer.contains("refused")) {
    throw_input_error(
        "{}: the chat template is not supported: {} (`chat_template: false` runs without one)",
        place, answer.at("refused").get<std::string>());
  }
  return answer;
}

}  // namespace

Frame render_template(const std::string& source,
                      const std::vector<std::pair<std::string, std::string>>& tokens,
                      const std::string& place) {
  json request = {{"template", source}, {"tokens", json::object()}, {"jinja2", jinja2_version()}};
  for (const auto& [name, text] : tokens) request["tokens"][name] = text;
  const std::string key = key_of(request);
  const fs::path file = deps_dir() / "cache/chat_templates" / (key + ".json");
  if (const auto cached = read_cached(file, key)) return *cached;
  json entry = run_script(request, place);
  entry["key"] = key;
  const Frame frame = frame_of(entry);
  entry["checksum"] = checksum(entry);
  write_cache_file(file, entry.dump(2) + "\n");
  return frame;
}

}  // namespace kvbench::text
