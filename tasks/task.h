// What a benchmark task hands to the harness: samples, and the rules by which they are asked and
// graded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/protocol.h"

namespace kvbench {

// Tokens of a text under the model's tokenizer, no special tokens added.
using TokenCounter = std::function<int64_t(std::string_view)>;

// One question about one context. A question-agnostic run compresses the context before the
// question is known. What becomes of the pieces is the protocol's (PromptRule).
struct Sample {
  int64_t id = 0;  // of its source: 0-based line number of a file, running number when generated
  std::string context, question, answer_prefix;
  std::vector<std::string> references;
  std::vector<std::string> classes = {};  // all class names of the data set: classification
  std::vector<std::string> needles =
      {};  // pieces of `context` that the answer is made of, if known
  int64_t max_new_tokens = 0;
  int64_t length = 0;  // tokens of prompt and answer as the task file says; 0 = it does not
  int64_t words = 0;   // LongBench's `length`: words or characters; 0 = it has none
};

// One `tasks:` entry of a sweep, resolved.
struct TaskRequest {
  std::string name = {};            // "ruler/niah_single_1"
  std::filesystem::path file = {};  // official file; empty = generate
  int64_t length = 0;               // max_seq_length in tokens when generated; 0 with a file
  int64_t samples = 0;              // how many to take; 0 = all of the file
  uint64_t seed = 42;
  std::string protocol = {};  // one of Task::protocols(); empty = the first
  int64_t max_length = 0;     // PromptRule::max_length
  bool answer_prefix = true;  // false: RULER's official runs of January 2025 to July 2026
  bool second_bos = false;    // PromptRule::second_bos
  Sampling sampling = {};
  int64_t rollouts = 1;  // how often each sample is answered (rollouts.h)
};

// The rule with what a request says of it: BOS, and a limit, above which a rule that cuts nothing
// cuts the context's end off.
PromptRule as_requested(PromptRule rule, const TaskRequest& request);

// The samples of one request. They are made when they are asked for, any of them at any time and
// always the same, so that a large source is never in memory whole.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual const Protocol& protocol() const = 0;
  virtual int64_t size() const = 0;  // at least 1
  // Tokens: the most that the file says of a sample; 0 = it says none, or samples are generated.
  virtual int64_t length() const { return 0; }
  virtual int64_t id(int64_t i) const { return i; }  // Sample::id of sample i, ascending
  // Samples with the same key may share a context, others do not; known without making the sample.
  virtual std::string context_key(int64_t i) const { return std::to_string(i); }
  // Bytes of a sample's context, known without making it; 0 = generated.
  virtual int64_t context_bytes(int64_t /*i*/) const { return 0; }
  // Throws InputError naming file and line when the file has changed meanwhile.
  virtual Sample sample(int64_t i) const = 0;
};

class Task {
 public:
  virtual ~Task() = default;
  virtual const std::string& name() const = 0;
  // The rules of a request, which its source has too. Throws InputError for an option that the task
  // or the protocol does not have.
  virtual Protocol protocol(const TaskRequest& request) const = 0;
  // By which the task can be asked and graded, the default first.
  virtual std::vector<std::string> protocols() const { return {"official"}; }
  virtual bool can_generate() const { return false; }
  // The data set that holds the task's file where a sweep names no source; "" = none does.
  virtual std::string data_set() const { return ""; }
  // The task's file in a folder laid out as the benchmark's own data; empty = it has no such
  // layout.
  virtual std::filesystem::path file_in(const std::filesystem::path& /*folder*/) const {
    return {};
  }

  // Reads the file once through, or finds the size of what is generated. Throws InputError naming
  // file and line for missing or malformed data, and when the task cannot be generated (no
  // generator, outside data missing, length too small).
  virtual std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                             const TokenCounter& count_tokens) const = 0;
};

// All tasks, sorted ("ruler/cwe", ...). Names come from the YAML files below tasks/.
std::vector<std::string> task_names();

// Names that stand for several tasks ("ruler/all"), and which: tasks/groups.yaml.
std::vector<std::string> task_group_names();

// The tasks of a group in its order; of a task itself. Throws InputError with near matches.
std::vector<std::string> tasks_of(const std::string& name_or_group);

// Makes a task of a user's own description (own/own_task.h) known as "own/STEM" and returns it.
// Throws InputError for a malformed file, and when another task has the name.
const Task& add_task(const std::filesystem::path& file);

// Throws InputError with near matches for an unknown name.
const Task& find_task(const std::string& name);

}  // namespace kvbench
