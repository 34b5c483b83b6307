// Files with one JSON object a line: samples of tasks, contexts of profiles; and the sets of
// questions that samples are made from.
#include <fstream>

#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"
#include "harness/profile/contexts.h"
#include "tasks/ruler/qa_data.h"
#include "tasks/task.h"

namespace kvbench::fuzz {
namespace {

Target task_target(const std::string& name, const std::string& task, const std::string& good) {
  return {name,
          "samples.jsonl",
          {.text = true},
          [good](const std::filesystem::path&) { return std::vector<std::string>{good}; },
          [task](const std::filesystem::path& folder) {
            const auto source = find_task(task).open(
                {.name = task, .file = folder / "samples.jsonl"},
                [](std::string_view text) { return static_cast<int64_t>(text.size() / 4); });
            for (int64_t i = 0; i < source->size(); ++i) source->sample(i);
          }};
}

Target contexts_target() {
  const auto prepare = [](const std::filesystem::path& folder) -> std::vector<std::string> {
    std::filesystem::copy_file(in_project("harness/text/testdata/smollm.json"),
                               folder / "tokenizer.json");
    return {
        R"({"context": "The grass is green. The sky is blue.", "questions": ["What is green?"]})"
        "\n"
        R"({"context": "VAR A = 12345.", "questions": ["A?", "B?"], "answer_prefix": "It is"})"
        "\n",
        R"({"context": "One.", "questions": ["1?", "2?"], "answer_prefix": ["a:", "b:"]})"};
  };
  const auto read = [](const std::filesystem::path& folder) {
    const PromptFormat format(folder, ChatTemplateUse::kNo);
    load_contexts({.file = folder / "contexts.jsonl", .length = 64}, format);
  };
  return {"contexts_jsonl", "contexts.jsonl", {.text = true}, prepare, read};
}

Target qa_target(const std::string& name, const std::string& good,
                 ruler::QaData (*read)(const std::filesystem::path&)) {
  return {name,
          "set.json",
          {.text = true},
          [good](const std::filesystem::path&) { return std::vector<std::string>{good}; },
          [read](const std::filesystem::path& folder) { read(folder / "set.json"); }};
}

constexpr const char* kSquad =
    R"({"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "The year is 1912.",)"
    R"( "qas": [{"question": "When?", "is_impossible": false, "answers": [{"text": "1912"}]},)"
    R"( {"question": "Who?", "is_impossible": true, "answers": []}]}]}]})";
constexpr const char* kHotpotQa =
    R"([{"question": "Who?", "answer": "yes", "context": [["A", ["One. ", "Two."]], ["B", []]]}])";

}  // namespace

std::vector<Target> jsonl_targets() {
  const std::string ruler = "harness/golden/reference/ruler/1024/";
  return {task_target("ruler_jsonl", "ruler/vt", first_lines(ruler + "vt.jsonl", 2)),
          task_target("own_jsonl", "own/contains_all", read_project_file("configs/own_data.jsonl")),
          contexts_target(), qa_target("squad_json", kSquad, ruler::read_squad),
          qa_target("hotpotqa_json", kHotpotQa, ruler::read_hotpotqa)};
}

}  // namespace kvbench::fuzz
