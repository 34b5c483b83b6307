// SHA-256 of texts and files: identities of models, data and cells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace kvbench {

// Lower-case hexadecimal, 64 characters.
std::string sha256_hex(std::string_view bytes);
// Its first 16 characters: 64 bits tell apart whatever one file can hold.
std::string short_hash(std::string_view bytes);

// Reads the whole file; `on_read`, when there, is told how many bytes more were read. Throws
// InputError when it cannot be read. hash_cache.h spares large files a second reading.
std::string sha256_file(const std::filesystem::path& file,
                        const std::function<void(int64_t bytes)>& on_read = {});

}  // namespace kvbench
