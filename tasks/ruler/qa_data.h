// The two sets of questions and documents that RULER's qa tasks are made of, as their projects
// publish them. RULER scripts/data/synthetic/qa.py, read_squad and read_hotpotqa.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench::ruler {

struct QaQuestion {
  std::string query;
  std::vector<std::string> outputs;  // doubles kept
  std::vector<size_t> own;           // documents that the question is about
  std::vector<size_t> more;          // documents on the same subject, which come next
};

struct QaData {
  std::vector<std::string> documents;  // distinct, sorted
  std::vector<QaQuestion> questions;   // in file order
};

// SQuAD's dev-v2.0.json: a document is a paragraph; questions without an answer are left out.
// Throws InputError naming the file and the place in it, or how to get the file.
QaData read_squad(const std::filesystem::path& file);

// HotpotQA's hotpot_dev_distractor_v1.json: a document is a title, a newline and its sentences with
// nothing between; none is `more`. Throws likewise.
QaData read_hotpotqa(const std::filesystem::path& file);

}  // namespace kvbench::ruler
