// The files that targets start from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvbench::fuzz {

// A file of this project, by its path below the root.
std::filesystem::path in_project(const std::string& path);
std::string read_project_file(const std::string& path);
std::vector<std::string> read_project_files(const std::vector<std::string>& paths);

// The first `count` lines of a file of this project.
std::string first_lines(const std::string& path, int count);

// Copies a file of this project into the folder.
void copy_project_file(const std::string& path, const std::filesystem::path& folder);

}  // namespace kvbench::fuzz
