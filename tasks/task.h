// What a benchmark task hands to the harness: samples, and how to grade their predictions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench {

// Tokens of a text under the model's tokenizer, no special tokens added.
using TokenCounter = std::function<int64_t(std::string_view)>;

// One question about one context. The prompt is context + question + answer_prefix; a
// question-agnostic run compresses the context before the question is known.
struct Sample {
  int64_t id = 0;  // 0-based line number in the task file
  std::string context, question, answer_prefix;
  std::vector<std::string> references;
  int64_t max_new_tokens = 0;
  int64_t length = 0;  // tokens of prompt and answer as the task file says; 0 = it does not
};

// One `tasks:` entry of a sweep, resolved.
struct TaskRequest {
  std::string name;            // "ruler/niah_single_1"
  std::filesystem::path file;  // official file; empty = generate
  int64_t length = 0;          // max_seq_length in tokens when generated; 0 with a file
  int64_t samples = 0;         // how many to take; 0 = all of the file
  uint64_t seed = 42;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const std::string& name() const = 0;
  virtual std::string metric() const = 0;  // a name of metric_names()

  // Throws InputError naming file and line for missing or malformed data, and when the task cannot
  // be generated (no generator, outside data missing, length too small).
  virtual std::vector<Sample> samples(const TaskRequest& request,
                                      const TokenCounter& count_tokens) const = 0;
};

// All tasks, sorted ("ruler/cwe", ...). Names come from the YAML files below tasks/.
std::vector<std::string> task_names();

// Throws InputError with near matches for an unknown name.
const Task& find_task(const std::string& name);

}  // namespace kvbench
