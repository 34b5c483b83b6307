// Whole files: read, checked before a run writes them, replaced in one step.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// The whole file as bytes. Throws InputError when it cannot be read.
std::string read_file(const std::filesystem::path& file);

// kTry makes missing folders and a file for a moment; kAsk changes nothing and may miss what only
// trying tells.
enum class Probe { kTry, kAsk };

// Throws InputError with path and reason when a run could not write the HDF5 file `path`: an
// unwritable folder, a folder, a file that is not HDF5. Cheap; changes no file.
void check_writable(const std::filesystem::path& path, Probe probe = Probe::kTry);

// Brings a closed file to the disk, with the room that its size promises. Throws std::runtime_error
// with path and reason.
void settle_file(const std::filesystem::path& path);

// Renames `from` to `to`, whatever is there, and brings the folder to the disk.
void replace_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Writes a file that only spares making its content again, with the folders that are missing.
// Readers see all of it or nothing, parallel writers do not meet. A failure costs time alone:
// nobody is told.
void write_cache_file(const std::filesystem::path& file, const std::string& content);

}  // namespace kvbench
