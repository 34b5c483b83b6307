// How kvpress cuts a RULER prompt, so that a context can be compressed before its question is known
// (kvpress benchmark/ruler).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvbench::ruler {

struct PromptParts {
  std::string context, question, answer_prefix;  // joined: the prompt
};

// "niah", "variable_tracking", "common_words_extraction", "freq_words_extraction", "qa".
std::vector<std::string> family_names();

// The question begins at the last match of the family's question pattern, the answer prefix at the
// first match of its prefix pattern after that. `prompt` includes the answer prefix. Throws
// InputError beginning with `place` when a pattern is absent or the context would be empty.
PromptParts split_prompt(const std::string& family, std::string_view prompt,
                         const std::string& place);

}  // namespace kvbench::ruler
