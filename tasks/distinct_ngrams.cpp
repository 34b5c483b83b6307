// How little a text repeats itself.
#include <set>
#include <string>
#include <vector>

#include "harness/base/params.h"
#include "tasks/metric.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

// Share of different ones among the n-grams of words: 1 minus "seq-rep-n" (Welleck et al., Neural
// Text Generation with Unlikelihood Training, ICLR 2020, eq. 9), there of tokens. A text of fewer
// than n words repeats nothing: 1.
class DistinctNgrams : public Metric {
 public:
  explicit DistinctNgrams(Params& params) {
    params.get("n", n_, "words of an n-gram");
    params.require_range("n", static_cast<double>(n_), 1, 100);
  }

  double share(const Answered& answered) const override {
    const auto words = split_at_spaces(code_points(answered.prediction));
    const auto n = static_cast<size_t>(n_);
    if (words.size() < n) return 1;
    std::set<std::vector<std::u32string>> different;
    const size_t n_all = words.size() - n + 1;
    for (size_t i = 0; i < n_all; ++i) {
      different.emplace(words.begin() + static_cast<ptrdiff_t>(i),
                        words.begin() + static_cast<ptrdiff_t>(i + n));
    }
    return static_cast<double>(different.size()) / static_cast<double>(n_all);
  }
  bool needs_references() const override { return false; }

 private:
  int64_t n_ = 4;
};

KVB_REGISTER_METRIC("distinct_ngrams", DistinctNgrams,
                    "how little does the text repeat itself? (n = 4 words; no references)");

}  // namespace
}  // namespace kvbench
