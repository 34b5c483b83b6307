// Tasks over data of one's own: JSON lines, one question about one context each.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tasks/task.h"

namespace kvbench {

// Reads tasks/own/<name>.yaml: metric, and max_new_tokens for lines that do not say it.
// Throws InputError with file and line.
//
// A line of the file that a sweep names:
//   {"context": TEXT, "question": TEXT, "answers": [TEXT, ...],
//    "answer_prefix": TEXT, "max_new_tokens": N}                    (the last two optional)
// The context is what is compressed; the question follows on a line of its own, so its piece is
// "\n"
// + question. The answer prefix stands behind the chat template's last words: the model goes on
// from it. Every sample's id is the number of its line. samples() throws InputError "FILE:LINE:
// ..." for what is no such line, for empty texts (an answer_prefix may be empty) and for other
// keys; it cannot generate.
std::unique_ptr<Task> load_own_task(const std::string& name, const std::filesystem::path& file);

}  // namespace kvbench
