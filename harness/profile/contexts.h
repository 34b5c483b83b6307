// The contexts of a profile and the questions asked about them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/config/profile_config.h"
#include "harness/model/prompt.h"

namespace kvbench {

struct ProfileContext {
  std::vector<int32_t> tokens;                  // at most ContextsSpec::length, chat head included
  std::vector<std::vector<int32_t>> questions;  // with what follows a question in the prompt
};

struct ProfileContexts {
  std::vector<ProfileContext> contexts;
  std::string data_hash;  // SHA-256 of the file, or of the essays' text
};

// Without a file, or with a text file: pieces of that prose, each from the start of a sentence, and
// questions that send the model back into the piece. Context i is the same whatever the count; it
// has exactly `length` tokens. A .jsonl file has one context a line:
//   {"context": TEXT, "questions": [TEXT, ...], "answer_prefix": TEXT}    (answer_prefix optional,
//                                                    or a list with one for each question)
// Throws InputError (FILE:LINE for lines) when a text is too short or a line malformed, or when the
// essays are missing.
ProfileContexts load_contexts(const ContextsSpec& spec, const PromptFormat& format);

struct AskedQuestion {
  std::string text, answer_prefix;
};

// `count` questions about a text's sentences, the same for the same seed.
//   recite   repeat the text from the first words of a sentence on; the answer begins with them.
//            Answers that copy show which heads find and copy things: budgets learnt from them keep
//            their needles (results/reference/lukv.md)
//   explain  how a sentence goes on, how it ends, what it means
std::vector<AskedQuestion> generate_questions(const std::string& text, const std::string& ask,
                                              int64_t count, uint64_t seed);

}  // namespace kvbench
