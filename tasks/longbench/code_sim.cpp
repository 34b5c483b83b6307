// Similarity of the first line of code with the right one (LongBench metrics.py, code_sim_score, by
// fuzzywuzzy's fuzz.ratio, whose number depends on what is installed beside it).
#include <cmath>
#include <map>
#include <utility>

#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

// Characters in the matching blocks of Python's difflib.SequenceMatcher(None, a, b): the longest
// common part, the earliest in a, then in b; then the same on both sides of it. In a b of 200
// characters or more those that occur often start no match, but extend one.
class MatchingBlocks {
 public:
  MatchingBlocks(const std::u32string& a, const std::u32string& b) : a_(a), b_(b) {
    for (size_t j = 0; j < b.size(); ++j) places_[b[j]].push_back(j);
    if (b.size() < 200) return;
    const size_t often = b.size() / 100 + 1;
    std::erase_if(places_, [often](const auto& place) { return place.second.size() > often; });
  }

  size_t characters() const {
    size_t sum = 0;
    std::vector<Range> todo = {{0, a_.size(), 0, b_.size()}};
    while (!todo.empty()) {
      const Range r = todo.back();
      todo.pop_back();
      const auto [i, j, n] = longest(r);
      if (n == 0) continue;
      sum += n;
      if (r.a < i && r.b < j) todo.push_back({r.a, i, r.b, j});
      if (i + n < r.a_end && j + n < r.b_end) todo.push_back({i + n, r.a_end, j + n, r.b_end});
    }
    return sum;
  }

 private:
  struct Range {
    size_t a, a_end, b, b_end;
  };
  struct Match {
    size_t i, j, n;
  };

  Match longest(const Range& r) const {
    Match best{r.a, r.b, 0};
    std::map<size_t, size_t> lengths;  // by the place in b of a match's last character
    for (size_t i = r.a; i < r.a_end; ++i) {
      std::map<size_t, size_t> next;
      const auto places = places_.find(a_[i]);
      if (places != places_.end()) {
        for (const size_t j : places->second) {
          if (j < r.b) continue;
          if (j >= r.b_end) break;
          const auto before = j == 0 ? lengths.end() : lengths.find(j - 1);
          const size_t n = (before == lengths.end() ? 0 : before->second) + 1;
          next[j] = n;
          if (n > best.n) best = {i + 1 - n, j + 1 - n, n};
        }
      }
      lengths = std::move(next);
    }
    while (best.i > r.a && best.j > r.b && a_[best.i - 1] == b_[best.j - 1]) {
      --best.i, --best.j, ++best.n;
    }
    while (best.i + best.n < r.a_end && best.j + best.n < r.b_end &&
           a_[best.i + best.n] == b_[best.j + best.n]) {
      ++best.n;
    }
    return best;
  }

  const std::u32string &a_, &b_;
  std::map<char32_t, std::vector<size_t>> places_;
};

size_t longest_common_subsequence(const std::u32string& a, const std::u32string& b) {
  std::vector<size_t> row(b.size() + 1, 0);
  for (const char32_t c : a) {
    size_t diagonal = 0;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = c == b[j - 1] ? diagonal + 1 : std::max(above, row[j - 1]);
      diagonal = above;
    }
  }
  return row.back();
}

// The first line that looks like neither a comment nor markdown.
std::string first_line_of_code(const std::string& prediction) {
  const size_t begin = std::min(prediction.find_first_not_of('\n'), prediction.size());
  std::string_view rest = std::string_view(prediction).substr(begin);
  while (true) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (line.find('`') == line.npos && line.find('#') == line.npos &&
        line.find("//") == line.npos) {
      return std::string(line);
    }
    if (end == rest.npos) return "";
    rest.remove_prefix(end + 1);
  }
}

class CodeSim : public BestReference {
 public:
  explicit CodeSim(Params& p) {
    p.choice("backend", levenshtein_, {{"difflib", false}, {"levenshtein", true}},
             "what fuzzywuzzy computes with; levenshtein where python-Levenshtein is installed");
  }

 private:
  double score(const Answered& answered, const std::string& reference) const override {
    const std::u32string line = code_points(first_line_of_code(answered.prediction));
    const std::u32string answer = code_points(reference);
    if (line == answer) return 1;
    if (line.empty() || answer.empty()) return 0;
    const size_t common = levenshtein_ ? longest_common_subsequence(line, answer)
                                       : MatchingBlocks(line, answer).characters();
    const double ratio =
        2.0 * static_cast<double>(common) / static_cast<double>(line.size() + answer.size());
    return std::nearbyint(100 * ratio) / 100;  // ties to even, as Python rounds
  }

  bool levenshtein_ = false;
};

KVB_REGISTER_METRIC("code_sim_score", CodeSim, "LongBench: similarity of the first line of code");

}  // namespace
}  // namespace kvbench::longbench
