#include "harness/config/device_word.h"

#include <fmt/format.h>

namespace kvbench {

bool is_device_word(const std::string& word) {
  if (word == "auto" || word == "cpu" || word == "cuda") return true;
  if (!word.starts_with("cuda:")) return false;
  const std::string index = word.substr(5);
  return !index.empty() && index.size() <= 2 &&
         index.find_first_not_of("0123456789") == std::string::npos;
}

std::string read_device_word(const YamlMap& map, const std::string& value) {
  const auto word = map.optional<std::string>("device", value);
  if (!is_device_word(word)) {
    map.fail("device", fmt::format("expected {}, got \"{}\"", kDeviceWords, word));
  }
  return word;
}

}  // namespace kvbench
