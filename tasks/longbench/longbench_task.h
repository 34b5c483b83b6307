// The LongBench sets as tasks: official files, asked and graded by one of three protocols.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tasks/longbench/sets.h"
#include "tasks/task.h"

namespace kvbench {

// longbench/NAME of tasks/longbench/NAME.yaml, and longbench/NAME_e where LongBench-E has the set.
//
// Protocols, which give different numbers:
//   official  LongBench's pred.py: the filled template as one text, a middle cut above the limit,
//             no chat template for few-shot and code sets
//   kvpress   NVIDIA/kvpress's benchmark: the context part is compressed, question and answer
//             prefix follow the chat template's end of turn, the end of a long context is cut off,
//             20 new tokens more, the prediction loses its leading white space
//   lukv      the LU-KV authors' scripts: as kvpress, but the answer prefix stands in the user
//   turn,
//             few-shot and code sets have neither template nor BOS, nothing is cut, and the
//             official scorer counts
// `answer_prefix: false` (lukv only) leaves triviaqa's trailing "Answer:" away and every set's
// prefix: which copy of the data the authors used is not public.
std::vector<std::unique_ptr<Task>> load_longbench_tasks(const std::filesystem::path& file);

namespace longbench {

// The rules by which a set is asked and graded. Throws InputError for an option that the protocol
// does not have.
Protocol protocol_of(const LongBenchSet& set, bool is_e, const TaskRequest& request);

// What of an item becomes which piece of the prompt, by protocol.
struct Item {
  std::string context, input;
};
struct Pieces {
  std::string context, question, answer_prefix;
};
Pieces pieces_of(const LongBenchSet& set, const std::string& protocol, const Item& item);

}  // namespace longbench
}  // namespace kvbench
