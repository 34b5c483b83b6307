#include "tasks/ruler/words.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

std::vector<std::string> load_list(const std::filesystem::path& file) {
  const std::string bytes = read_data_file(file);
  std::vector<std::string> words;
  for (std::string_view line : split_lines(bytes)) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty()) words.emplace_back(line);
  }
  if (words.empty()) throw_input_error("{}: expected one word a line, got none", file.string());
  sort_distinct(words);
  return words;
}

}  // namespace

void throw_missing_data(const std::filesystem::path& file) {
  throw_input_error(
      "{}: missing, RULER samples are generated from it; the set-up that ./kvbench runs fetches it",
      file.string());
}

std::string read_data_file(const std::filesystem::path& file) {
  if (!std::filesystem::is_regular_file(file)) throw_missing_data(file);
  return read_file(file);
}

std::string WordLists::draw(Random& random) const {
  const std::string& adjective = adjectives[random.below(adjectives.size())];
  return adjective + "-" + nouns[random.below(nouns.size())];
}

WordLists load_words(const std::filesystem::path& folder) {
  return {load_list(folder / "adjectivelist.txt"), load_list(folder / "nounlist.txt")};
}

std::vector<std::string> load_all_words(const std::filesystem::path& folder) {
  std::vector<std::string> words;
  for (const char* name : {"nounlist.txt", "adjectivelist.txt", "verblist.txt"}) {
    const std::vector<std::string> list = load_list(folder / name);
    words.insert(words.end(), list.begin(), list.end());
  }
  sort_distinct(words);
  return words;
}

std::vector<std::string> load_more_words(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return {};
  const nlohmann::json list = read_json(file);
  const JsonView view(list, file.string());
  if (!list.is_object()) view.fail_type("an object of numbers and words");
  std::vector<std::string> words;
  for (const auto& [number, word] : list.items()) words.push_back(view.at(number).text());
  sort_distinct(words);
  return words;
}

}  // namespace kvbench::ruler
