// Tasks over data of one's own: JSON lines, one question about one context each.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "tasks/task.h"

namespace kvbench {

// Reads the description of a task, tasks/own/<name>.yaml or a user's own file (tasks/README.md has
// its keys): how the pieces become a prompt, when an answer ends, how it is graded.
// Throws InputError with file and line.
//
// A line of the file that a sweep names:
//   {"context": TEXT, "question": TEXT, "answers": [TEXT, ...],
//    "answer_prefix": TEXT, "max_new_tokens": N, "all_classes": [TEXT, ...]}   (the last three
//    optional)
// Lines with the same context share its prefill. Every sample's id is the number of its line.
// Opening throws InputError "FILE:LINE: ..." for what is no such line, for empty texts (an
// answer_prefix may be empty) and for other keys; nothing can be generated.
std::unique_ptr<Task> load_own_task(const std::string& name, const std::filesystem::path& file);

}  // namespace kvbench
