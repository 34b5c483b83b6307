// Share of the numbers in the prediction that are the right one (LongBench metrics.py,
// retrieval_score, retrieval_zh_score, count_score).
#include <unicode/uchar.h>

#include <algorithm>
#include <utility>

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

// The number behind the first mark that has one.
class NumberBehind : public BestReference {
 public:
  explicit NumberBehind(std::u32string mark) : mark_(std::move(mark)) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    const std::u32string answer = code_points(reference);
    for (size_t at = answer.find(mark_); at != answer.npos; at = answer.find(mark_, at + 1)) {
      const std::u32string target = digits_at(answer, at + mark_.size());
      if (!target.empty()) return share_of(target, answered.prediction);
    }
    throw_input_error("the answer \"{}\" has no number behind \"{}\"", reference, to_utf8(mark_));
  }

  std::u32string mark_;
};

struct Retrieval : NumberBehind {
  explicit Retrieval(Params&) : NumberBehind(U"Paragraph ") {}
};

struct RetrievalZh : NumberBehind {
  explicit RetrievalZh(Params&) : NumberBehind(U"段落") {}
};

class Count : public BestReference {
 public:
  explicit Count(Params&) {}

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    return share_of(code_points(reference), answered.prediction);
  }
};

KVB_REGISTER_METRIC("retrieval_score", Retrieval, "LongBench: the right paragraph's number");
KVB_REGISTER_METRIC("retrieval_zh_score", RetrievalZh, "LongBench: the same, Chinese");
KVB_REGISTER_METRIC("count_score", Count, "LongBench: the right number of paragraphs");

}  // namespace
}  // namespace kvbench::longbench
