// Hashes of large files that have not changed since they were last read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace kvbench {

// SHA-256 of a file, 64 hexadecimal characters, when it is known without reading the file: it was
// hashed before and is the same file as then (device, inode, size, times of change to the
// nanosecond; links are followed). nullopt when it must be read.
std::optional<std::string> known_hash(const std::filesystem::path& file);

// SHA-256 of a file. That of a file of at least kSmallestKeptHash bytes is kept below
// deps_dir()/cache/hashes and the file not read again until it changes. One that changed within the
// last two seconds is hashed but not kept: another change of the same clock tick would not be seen.
// Parallel processes may ask for the same file; a damaged entry is made anew, a folder that cannot
// be written only costs time. `on_read`, when there, is told how many bytes more were read. Throws
// InputError when the file cannot be read.
inline constexpr int64_t kSmallestKeptHash = 1 << 20;
std::string file_hash(const std::filesystem::path& file,
                      const std::function<void(int64_t bytes)>& on_read = {});

}  // namespace kvbench
