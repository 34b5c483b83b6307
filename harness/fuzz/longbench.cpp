// LongBench's sets and items, and what its Chinese metrics cut words with.
#include <fstream>

#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"
#include "tasks/longbench/jieba.h"
#include "tasks/longbench/sets.h"
#include "tasks/task.h"

namespace kvbench::fuzz {
namespace {

using Folder = std::filesystem::path;

constexpr const char* kDictionary = "中国 100 ns\n中国人 10 n\n人民 100 n\n民 1 n\n";
constexpr const char* kModel =
    "start B -0.5\nstart S -1.25\ntrans B E -0.1\ntrans E B -0.5\ntrans S B -3.14e+100\n"
    "emit B 甲 -1\nemit E 乙 -1\nemit S 丙 -1\n";

// One of jieba's two files is damaged, the other stands beside it.
Target jieba_target(const std::string& name, const std::string& file, const std::string& good,
                    const std::string& other_file, const std::string& other) {
  return {name,
          file,
          {.text = true},
          [=](const Folder& folder) {
            std::ofstream(folder / other_file) << other;
            return std::vector<std::string>{good};
          },
          [](const Folder& folder) {
            longbench::Jieba(folder).segment(U"中国人民 甲乙丙 3.14%\r\n甲中");
          }};
}

}  // namespace

std::vector<Target> longbench_targets() {
  const auto items = [](const Folder&) -> std::vector<std::string> {
    return {
        R"({"input": "Which?", "context": "Paragraph 1: a", "answers": ["Paragraph 1"], "length": 3,)"
        R"( "dataset": "passage_retrieval_en", "language": "en", "all_classes": null, "_id": "a"})"
        "\n\n"
        R"({"input": "", "context": "\ud83d\ude00", "answers": ["Paragraph 2", "Paragraph 10"]})"};
  };
  const auto read_items = [](const Folder& folder) {
    find_task("longbench/passage_retrieval_en")
        .open({.name = "longbench/passage_retrieval_en", .file = folder / "items.jsonl"}, {});
  };
  const auto sets = [](const Folder&) {
    return read_project_files({"tasks/longbench/trec.yaml", "tasks/longbench/lcc.yaml"});
  };
  return {{"longbench_jsonl", "items.jsonl", {.text = true}, items, read_items},
          {"longbench_set",
           "set.yaml",
           {.text = true},
           sets,
           [](const Folder& folder) { longbench::read_longbench_set(folder / "set.yaml"); }},
          jieba_target("jieba_dictionary", "dict.txt", kDictionary, "hmm.txt", kModel),
          jieba_target("jieba_model", "hmm.txt", kModel, "dict.txt", kDictionary)};
}

}  // namespace kvbench::fuzz
