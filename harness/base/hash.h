// SHA-256 of texts and files: identities of models, data and cells.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kvbench {

// Lower-case hexadecimal, 64 characters.
std::string sha256_hex(std::string_view bytes);

// Throws InputError when the file cannot be read.
std::string sha256_file(const std::filesystem::path& file);

}  // namespace kvbench
