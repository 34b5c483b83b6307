#include "tasks/longbench/sets.h"

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"
#include "tasks/metrics.h"
#include "tasks/prompt_texts.h"

namespace kvbench::longbench {
namespace {

constexpr int64_t kMostTokens = 1'000'000;

const std::vector<std::string> kPlaceholders = {"{context}", "{input}"};

}  // namespace

const std::vector<std::string>& category_names() {
  static const std::vector<std::string> names = {"single_doc_qa", "multi_doc_qa", "summarization",
                                                 "few_shot",      "synthetic",    "code"};
  return names;
}

const std::vector<std::string>& longbench_set_names() {
  static const std::vector<std::string> names = {"narrativeqa",
                                                 "qasper",
                                                 "multifieldqa_en",
                                                 "multifieldqa_zh",
                                                 "hotpotqa",
                                                 "2wikimqa",
                                                 "musique",
                                                 "dureader",
                                                 "gov_report",
                                                 "qmsum",
                                                 "multi_news",
                                                 "vcsum",
                                                 "trec",
                                                 "triviaqa",
                                                 "samsum",
                                                 "lsht",
                                                 "passage_count",
                                                 "passage_retrieval_en",
                                                 "passage_retrieval_zh",
                                                 "lcc",
                                                 "repobench-p"};
  return names;
}

LongBenchSet read_longbench_set(const std::filesystem::path& file) {
  const YamlNode root = read_yaml(file);
  const YamlMap map(root, "the set",
                    {"category", "language", "metric", "max_new_tokens", "chat_template",
                     "first_line", "newline_ends", "paper", "e", "context", "question",
                     "answer_prefix", "prefix_in_input", "official_template"});
  LongBenchSet set;
  set.name = file.stem().string();
  set.category = read_choice(map.require("category"), "category", category_names());
  set.language = read_choice(map.require("language"), "language", {"en", "zh", "code"});
  set.metric = read_choice(map.require("metric"), "metric", metric_names());
  set.max_new_tokens = map.required<int64_t>("max_new_tokens");
  check_range(map.require("max_new_tokens"), "max_new_tokens", set.max_new_tokens, 1, kMostTokens);
  set.chat_template = map.required<bool>("chat_template");
  set.first_line = map.required<bool>("first_line");
  set.newline_ends = map.optional("newline_ends", false);
  set.paper = map.required<bool>("paper");
  set.e = map.required<bool>("e");
  map.require("context");
  set.context = read_prompt_text(map, "context", kPlaceholders);
  set.question = read_prompt_text(map, "question", kPlaceholders);
  set.answer_prefix = read_prompt_text(map, "answer_prefix", kPlaceholders);
  set.prefix_in_input = map.optional("prefix_in_input", false);
  set.official_template = read_prompt_text(map, "official_template", kPlaceholders);
  if (set.official_template.empty()) {
    set.official_template =
        set.context + set.question + (set.prefix_in_input ? "" : set.answer_prefix);
  }
  if (set.context.find("{context}") == set.context.npos) {
    map.fail("context", "expected {context} in it");
  }
  return set;
}

std::vector<LongBenchSet> load_longbench_sets() {
  std::vector<LongBenchSet> sets;
  for (const std::string& name : longbench_set_names()) {
    sets.push_back(read_longbench_set(project_root() / "tasks/longbench" / (name + ".yaml")));
  }
  return sets;
}

}  // namespace kvbench::longbench
