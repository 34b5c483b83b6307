// Whole files: read, checked before a run writes them, replaced in one step.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// The whole file as bytes. Throws InputError when it cannot be read.
std::string read_file(const std::filesystem::path& file);

// Throws InputError with path and reason when a run could not write `path`: an unwritable folder
// (missing ones are created), a folder, a file that is not HDF5. Cheap; changes no file.
void check_writable(const std::filesystem::path& path);

// Brings a closed file to the disk, with the room that its size promises. Throws std::runtime_error
// with path and reason.
void settle_file(const std::filesystem::path& path);

// Renames `from` to `to`, whatever is there, and brings the folder to the disk.
void replace_file(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace kvbench
