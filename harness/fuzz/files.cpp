#include "harness/fuzz/files.h"

#include "harness/base/files.h"
#include "harness/base/paths.h"

namespace kvbench::fuzz {

std::filesystem::path in_project(const std::string& path) { return project_root() / path; }

std::string read_project_file(const std::string& path) { return read_file(in_project(path)); }

std::vector<std::string> read_project_files(const std::vector<std::string>& paths) {
  std::vector<std::string> all;
  for (const std::string& path : paths) all.push_back(read_project_file(path));
  return all;
}

std::string first_lines(const std::string& path, int count) {
  const std::string text = read_project_file(path);
  size_t end = 0;
  for (int i = 0; i < count && end != text.npos; ++i) end = text.find('\n', end) + 1;
  return text.substr(0, end);
}

void copy_project_file(const std::string& path, const std::filesystem::path& folder) {
  const auto from = in_project(path);
  std::filesystem::copy_file(from, folder / from.filename(),
                             std::filesystem::copy_options::overwrite_existing);
}

}  // namespace kvbench::fuzz
