// GPT-2's printable stand-ins for bytes: each byte is written as one character, so that a
// vocabulary of texts can hold any bytes (openai/gpt-2 src/encoder.py, bytes_to_unicode).
#pragma once

#include <string>
#include <string_view>

namespace kvbench::text {

// Every byte of the text as its character.
std::string to_byte_level(std::string_view text);

// Appends the bytes that the token's characters stand for to `bytes`; a token with any other
// character (an added token) is appended as it is, as the Python library does.
void append_from_byte_level(std::string_view token, std::string& bytes);

}  // namespace kvbench::text
