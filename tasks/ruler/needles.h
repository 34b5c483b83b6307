// What a RULER context hides of which an answer is made.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvbench::ruler {

// Pieces of `context`, in the order of the answers: of a needle in a haystack the sentence with
// each answer, of variable tracking the line that assigns to each variable. Those that are not
// there are left out; empty for families whose answers are no such piece.
std::vector<std::string> needles_of(const std::string& family, std::string_view context,
                                    const std::vector<std::string>& answers);

}  // namespace kvbench::ruler
