#include "tasks/ruler/split.h"

#include <algorithm>
#include <map>

#include "harness/base/error.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

struct Patterns {
  std::vector<std::string> question;  // the last match of any of them
  std::string prefix;                 // empty: none
};

const std::map<std::string, Patterns>& patterns() {
  static const std::map<std::string, Patterns> all = {
      {"common_words_extraction",
       {{"Question: What are the 10 most common words in the above list?"}, "Answer:"}},
      {"freq_words_extraction", {{"Question: Do not provide any explanation."}, "Answer:"}},
      {"niah",
       {{"What is the special magic", "What are all the special magic"}, "The special magic"}},
      {"niah_ruler2", {{"What is the special magic", "What are all the special magic"}, ""}},
      {"qa", {{"Answer the question based on the given documents."}, "Answer:"}},
      {"variable_tracking",
       {{"Question: Find all variables that are assigned the value"}, "Answer:"}},
  };
  return all;
}

}  // namespace

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const auto& [name, pattern] : patterns()) names.push_back(name);
  return names;
}

PromptParts split_prompt(const std::string& family, std::string_view prompt,
                         const std::string& place) {
  const Patterns& pattern = patterns().at(family);
  size_t question = std::string_view::npos;
  for (const std::string& text : pattern.question) {
    const size_t at = prompt.rfind(text);
    if (at != prompt.npos && (question == prompt.npos || at > question)) question = at;
  }
  if (question == prompt.npos) {
    throw_input_error("{}: no question in the prompt, expected \"{}\"", place,
                      join(pattern.question, "\" or \""));
  }
  if (question == 0) throw_input_error("{}: the context before the question is empty", place);
  const size_t prefix =
      pattern.prefix.empty() ? prompt.size() : prompt.find(pattern.prefix, question);
  if (prefix == prompt.npos) {
    throw_input_error("{}: no answer prefix after the question, expected \"{}\"", place,
                      pattern.prefix);
  }
  return {std::string(prompt.substr(0, question)),
          std::string(prompt.substr(question, prefix - question)),
          std::string(prompt.substr(prefix))};
}

PromptParts without_answer_prefix(PromptParts parts) {
  if (parts.answer_prefix.empty()) return parts;
  parts.answer_prefix.clear();
  if (parts.question.ends_with(' ')) parts.question.pop_back();
  return parts;
}

}  // namespace kvbench::ruler
