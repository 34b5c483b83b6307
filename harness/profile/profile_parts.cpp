#include "harness/profile/profile_parts.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// Digits enough for every context that a profile may number.
fs::path part_name(int64_t first_context) { return fmt::format("{:010}.h5", first_context); }

bool is_part(const fs::path& path) {
  const std::string stem = path.stem().string();
  return path.extension() == ".h5" && stem.size() == part_name(0).stem().string().size() &&
         stem.find_first_not_of("0123456789") == stem.npos;
}

}  // namespace

ProfileParts::ProfileParts(const fs::path& output) : folder_(output.string() + ".parts") {}

std::vector<fs::path> ProfileParts::files() const {
  std::vector<fs::path> files;
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(folder_, absent)) {
    if (is_part(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void ProfileParts::add(const ProfileData& group) const {
  fs::create_directories(folder_);
  write_measurements(folder_ / part_name(group.entries.front().context), group);
}

void ProfileParts::remove() const {
  for (const auto& file : files()) fs::remove(file);
  std::error_code not_empty;
  fs::remove(folder_, not_empty);
}

}  // namespace kvbench
