// Share of the numbers in the prediction that are the right one (LongBench metrics.py,
// retrieval_score, retrieval_zh_score, count_score).
#include <unicode/uchar.h>

#include <algorithm>

#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

// \d of Python's re: decimal digits of any script.
bool is_digit(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

std::u32string digits_at(const std::u32string& text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && is_digit(text[end])) ++end;
  return text.substr(begin, end - begin);
}

double share_of(const std::u32string& target, const std::string& prediction) {
  const std::u32string text = code_points(prediction);
  int64_t numbers = 0, right = 0;
  for (size_t i = 0; i < text.size();) {
    const std::u32string number = digits_at(text, i);
    if (!number.empty()) {
      ++numbers;
      if (number == target) ++right;
    }
    i += std::max<size_t>(number.size(), 1);
  }
  return numbers == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(numbers);
}

// The number behind the first MARK that has one.
double share_behind(const std::u32string& mark, const std::string& prediction,
                    const std::string& reference) {
  const std::u32string answer = code_points(reference);
  for (size_t at = answer.find(mark); at != answer.npos; at = answer.find(mark, at + 1)) {
    const std::u32string target = digits_at(answer, at + mark.size());
    if (!target.empty()) return share_of(target, prediction);
  }
  throw_input_error("the answer \"{}\" has no number behind \"{}\"", reference, to_utf8(mark));
}

class Retrieval : public BestReference {
 public:
  explicit Retrieval(Params&) {}

 private:
  double score(const std::string& prediction, const std::string& reference,
               const std::vector<std::string>&) const override {
    return share_behind(U"Paragraph ", prediction, reference);
  }
};

class RetrievalZh : public BestReference {
 public:
  explicit RetrievalZh(Params&) {}

 private:
  double score(const std::string& prediction, const std::string& reference,
               const std::vector<std::string>&) const override {
    return share_behind(U"段落", prediction, reference);
  }
};

class Count : public BestReference {
 public:
  explicit Count(Params&) {}

 private:
  double score(const std::string& prediction, const std::string& reference,
               const std::vector<std::string>&) const override {
    return share_of(code_points(reference), prediction);
  }
};

KVB_REGISTER_METRIC("retrieval_score", Retrieval, "LongBench: the right paragraph's number");
KVB_REGISTER_METRIC("retrieval_zh_score", RetrievalZh, "LongBench: the same, Chinese");
KVB_REGISTER_METRIC("count_score", Count, "LongBench: the right number of paragraphs");

}  // namespace
}  // namespace kvbench::longbench
