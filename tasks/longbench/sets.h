// What LongBench itself says about its sets: one YAML file a set beside this one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench::longbench {

// One set. Texts hold {context} and {input}, which stand for an item's fields.
struct LongBenchSet {
  std::string name;            // "qasper": the file's name
  std::string category;        // a name of category_names()
  std::string language;        // en, zh or code
  std::string metric;          // a name of metric_names()
  int64_t max_new_tokens = 0;  // dataset2maxlen.json
  bool chat_template = true;   // official protocol: wrapped as one user turn (pred.py)
  bool first_line = false;     // only the prediction's first line is graded (eval.py)
  bool newline_ends = false;   // official protocol: a newline ends the answer, not its first token
  bool paper = false;          // among the 16 sets that papers report
  bool e = false;              // also in LongBench-E

  // The template cut where kvpress cuts it: only the context part is compressed, the answer prefix
  // may move behind the chat template.
  std::string context, question, answer_prefix;
  // The official items bring the answer prefix as the end of their input; kvpress takes it off.
  bool prefix_in_input = false;
  // dataset2prompt.json: the three parts in a row, without the prefix where the input brings it.
  std::string official_template;
};

// Reads one set. Throws InputError "FILE:LINE: ..." for keys that are unknown, missing or of the
// wrong type, for an unknown metric, and for a placeholder that is neither {context} nor {input}.
LongBenchSet read_longbench_set(const std::filesystem::path& file);

// The 21 sets in the order of LongBench's own list, which is that of the papers' columns. Throws
// InputError naming the file when one is missing.
std::vector<LongBenchSet> load_longbench_sets();

// Their names in the same order; reads no file.
const std::vector<std::string>& longbench_set_names();

// single_doc_qa, multi_doc_qa, summarization, few_shot, synthetic, code.
const std::vector<std::string>& category_names();

}  // namespace kvbench::longbench
