// Near matches for names that a user typed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvbench {

// Number of single-character edits (insert, delete, replace, swap of neighbours) between a and b.
size_t edit_distance(std::string_view a, std::string_view b);

// The known names close to `word`, nearest first, at most three; empty when none is close.
std::vector<std::string> near_matches(std::string_view word, const std::vector<std::string>& known);

// `unknown policy "snapkw"; did you mean snapkv? (known: full, keydiff, snapkv)`
std::string unknown_name(std::string_view kind, std::string_view word,
                         std::vector<std::string> known);

}  // namespace kvbench
