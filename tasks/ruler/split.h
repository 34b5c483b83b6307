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

// "niah", "niah_ruler2", "variable_tracking", "common_words_extraction", "freq_words_extraction",
// "qa".
std::vector<std::string> family_names();

// The question begins at the last match of the family's question pattern, the answer prefix at the
// first match of its prefix pattern after that; RULERv2 has none, there the question is the rest.
// `prompt` includes the answer prefix. Throws
// InputError beginning with `place` when a pattern is absent or the context would be empty.
PromptParts split_prompt(const std::string& family, std::string_view prompt,
                         const std::string& place);

// The prompt as official runs from January 2025 to July 2026 had it: RULER's `input` alone, without
// the answer prefix and the blank before it.
PromptParts without_answer_prefix(PromptParts parts);

}  // namespace kvbench::ruler
