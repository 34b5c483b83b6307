// ROUGE-L at summary level as the package `rouge` 1.0.1 computes it (rouge/rouge_score.py,
// rouge_l_summary_level), with its quirks: sentences end at "." alone, words are counted once, and
// a walk that is too deep for Python's recursion limit counts as 0 (LongBench metrics.py,
// rouge_score and rouge_zh_score).
#include <set>
#include <utility>

#include "tasks/longbench/jieba.h"
#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

using Words = std::vector<std::string>;

// Words of one sentence: white space collapsed, cut at single blanks; of nothing but blanks the
// empty word.
Words words_of(std::string_view sentence) {
  Words words;
  for (const auto& word : split_at_spaces(code_points(sentence))) words.push_back(to_utf8(word));
  if (words.empty()) words.emplace_back();
  return words;
}

std::vector<Words> sentences_of(const std::string& text) {
  std::vector<Words> sentences;
  for (const auto sentence : split_lines(text, '.')) {
    if (!sentence.empty()) sentences.push_back(words_of(sentence));
  }
  return sentences;
}

std::set<std::string> distinct(const std::vector<Words>& sentences) {
  std::set<std::string> all;
  for (const auto& words : sentences) all.insert(words.begin(), words.end());
  return all;
}

// Adds the words of one longest common subsequence; how many steps the walk back took.
int64_t add_common(const Words& answer, const Words& prediction, std::set<std::string>& common) {
  const size_t n = answer.size(), m = prediction.size();
  std::vector<int64_t> table((n + 1) * (m + 1), 0);
  const auto at = [&](size_t i, size_t j) -> int64_t& { return table[i * (m + 1) + j]; };
  for (size_t i = 1; i <= n; ++i) {
    for (size_t j = 1; j <= m; ++j) {
      at(i, j) = answer[i - 1] == prediction[j - 1] ? at(i - 1, j - 1) + 1
                                                    : std::max(at(i - 1, j), at(i, j - 1));
    }
  }
  int64_t steps = 0;
  for (size_t i = n, j = m; i > 0 && j > 0; ++steps) {
    if (answer[i - 1] == prediction[j - 1]) {
      common.insert(answer[i - 1]);
      --i, --j;
    } else if (at(i - 1, j) > at(i, j - 1)) {
      --i;
    } else {
      --j;
    }
  }
  return steps;
}

class Rouge : public BestReference {
 public:
  explicit Rouge(Params& p) : Rouge(p, 990) {}

 protected:
  // `most_steps`: frames that the official program, run as eval.py, has left for a walk under
  // Python's limit of 1000.
  Rouge(Params& p, int64_t most_steps) : most_steps_(most_steps) {
    p.choice("recursion_limit", limited_, {{"official", true}, {"none", false}},
             "whether too deep a walk counts as 0, as in the official program");
  }

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    const auto predicted = sentences_of(split_words(answered.prediction));
    const auto wanted = sentences_of(split_words(reference));
    if (predicted.empty() || wanted.empty()) return 0;  // the package raises, its caller says 0
    std::set<std::string> common;
    for (const auto& answer : wanted) {
      for (const auto& sentence : predicted) {
        if (add_common(answer, sentence, common) > most_steps_ && limited_) return 0;
      }
    }
    const auto size = [](const auto& set) { return static_cast<double>(set.size()); };
    const double recall = size(common) / size(distinct(wanted));
    const double precision = size(common) / size(distinct(predicted));
    return 2.0 * ((precision * recall) / (precision + recall + 1e-8));
  }

  // The text with blanks between its words.
  virtual std::string split_words(const std::string& text) const { return text; }

  int64_t most_steps_;
  bool limited_ = true;
};

class RougeZh : public Rouge {
 public:
  explicit RougeZh(Params& p) : Rouge(p, 989) {}

 private:
  std::string split_words(const std::string& text) const override {
    std::u32string out;
    for (const auto& token : jieba().segment(code_points(text))) {
      if (!out.empty()) out += U' ';
      out += token;
    }
    return to_utf8(out);
  }
};

KVB_REGISTER_METRIC("rouge_score", Rouge, "LongBench: ROUGE-L of summaries, English");
KVB_REGISTER_METRIC("rouge_zh_score", RougeZh, "LongBench: ROUGE-L of summaries, Chinese");

}  // namespace
}  // namespace kvbench::longbench
