// F1 of the words that prediction and answer share (LongBench metrics.py, qa_f1_score and
// qa_f1_zh_score).
#include <unicode/uchar.h>

#include <map>
#include <string_view>

#include "tasks/longbench/jieba.h"
#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

// \w of Python's re: letters and all numbers. The underscore is punctuation and gone by then.
bool is_word(char32_t c) {
  const auto category = U_GET_GC_MASK(static_cast<UChar32>(c));
  return (category & (U_GC_L_MASK | U_GC_N_MASK)) != 0;
}

// Lower case; punctuation out, nothing in its place; the whole words a, an, the out.
std::vector<std::u32string> words(const std::string& text) {
  std::u32string kept;
  for (const char32_t c : python_lower(text)) {
    if (!is_ascii_punctuation(c)) kept += c;
  }
  std::u32string out;
  for (size_t i = 0; i < kept.size();) {
    size_t end = i;
    while (end < kept.size() && is_word(kept[end])) ++end;
    const std::u32string word = kept.substr(i, end - i);
    out += word == U"a" || word == U"an" || word == U"the" ? U" " : word;
    if (end == i) out += kept[end++];
    i = end;
  }
  return split_at_spaces(out);
}

// Full-width and general punctuation that the official list names; U+300A is not in it.
bool is_chinese_punctuation(char32_t c) {
  static constexpr std::u32string_view kMarks =
      U"！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～｟｠｢｣､、〃》「」『』【】"
      U"〔〕〖〗〘〙〚〛〜"
      U"〝〞〟〰〾〿–—‘’‛“”„‟…‧﹏.";
  return kMarks.find(c) != kMarks.npos;
}

// jieba's tokens in lower case, without punctuation and white space; empty ones left out.
std::vector<std::u32string> chinese_words(const std::string& text) {
  std::vector<std::u32string> words;
  for (const auto& token : jieba().segment(code_points(text))) {
    std::u32string kept;
    for (const char32_t c : python_lower(to_utf8(token))) {
      if (is_ascii_punctuation(c) || is_chinese_punctuation(c)) continue;
      if (!is_python_space(static_cast<int32_t>(c))) kept += c;
    }
    if (!kept.empty()) words.push_back(kept);
  }
  return words;
}

double f1(const std::vector<std::u32string>& predicted, const std::vector<std::u32string>& wanted) {
  std::map<std::u32string, int64_t> left;
  for (const auto& word : wanted) ++left[word];
  int64_t same = 0;
  for (const auto& word : predicted) {
    const auto it = left.find(word);
    if (it != left.end() && it->second-- > 0) ++same;
  }
  if (same == 0) return 0;
  const double precision = static_cast<double>(same) / static_cast<double>(predicted.size());
  const double recall = static_cast<double>(same) / static_cast<double>(wanted.size());
  return 2 * precision * recall / (precision + recall);
}

class QaF1 : public BestReference {
 public:
  explicit QaF1(Params&) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    return f1(words(answered.prediction), words(reference));
  }
};

class QaF1Zh : public BestReference {
 public:
  explicit QaF1Zh(Params&) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    return f1(chinese_words(answered.prediction), chinese_words(reference));
  }
};

KVB_REGISTER_METRIC("qa_f1_score", QaF1, "LongBench: F1 of the words, English");
KVB_REGISTER_METRIC("qa_f1_zh_score", QaF1Zh, "LongBench: F1 of the words, Chinese");

}  // namespace
}  // namespace kvbench::longbench
