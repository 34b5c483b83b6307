#include "tasks/ruler/freq_words_extraction.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/base/error.h"
#include "harness/base/registry.h"
#include "tasks/ruler/haystack.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

// RULER scripts/data/synthetic/constants.py. Four dots in the question, three in the text.
constexpr std::string_view kTemplate =
    "Read the following coded text and track the frequency of each coded word. Find the three most "
    "frequently appeared coded words. {context}\nQuestion: Do not provide any explanation. Please "
    "ignore the dots '....'. What are the three most frequently appeared words in the above coded "
    "text?";
constexpr std::string_view kAnswerPrefix =
    " Answer: According to the coded text above, the three most frequently appeared words are:";
constexpr const char* kNoise = "...";

constexpr int64_t kLetters = 6;
constexpr int64_t kTokensPerWord = 50;  // of the vocabulary
constexpr int64_t kRanks = 4;           // the dots and the three words that are asked for

class FrequentWordsSamples : public RecordSource {
 public:
  FrequentWordsSamples(const GenerateRequest& request, TokenCounter count_tokens, double alpha)
      : task_(request.task),
        seed_(request.seed),
        counted_answer_(request.tokens_to_generate),
        most_tokens_(request.length - request.tokens_to_generate),
        alpha_(alpha),
        count_tokens_(std::move(count_tokens)) {
    if (vocabulary() < kRanks) {
      throw_input_error("{}: length {} is too small: its vocabulary of {} words needs {} tokens",
                        task_, request.length, kRanks, kRanks * kTokensPerWord + counted_answer_);
    }
    Random random = random_of(seed_, kShared);
    const std::vector<std::string> words = draw_vocabulary(random);
    words_ = most_tokens_ / kLetters;
    while (count_tokens_(prompt(words, words_)) < most_tokens_) words_ += step();
    words_ -= step();
  }

  RulerRecord sample(int64_t line) const override {
    Random random = random_of(seed_, line);
    const std::vector<std::string> words = draw_vocabulary(random);
    for (int64_t n = words_;; n -= step()) {
      Draw drawn = {prompt(words, n), {words.begin() + 1, words.begin() + kRanks}};
      const int64_t tokens = count_tokens_(drawn.prompt);
      if (zeta_counts(n, kRanks, alpha_).back() < 1) {
        throw_too_short(task_, most_tokens_ + counted_answer_, tokens + counted_answer_,
                        counted_answer_);
      }
      if (tokens > most_tokens_) continue;
      return to_record(line, {std::move(drawn), tokens + counted_answer_}, kAnswerPrefix);
    }
  }

 private:
  int64_t vocabulary() const { return most_tokens_ / kTokensPerWord; }
  int64_t step() const { return most_tokens_ / 32; }

  // By rank.
  std::vector<std::string> draw_vocabulary(Random& random) const {
    std::set<std::string> distinct;
    while (static_cast<int64_t>(distinct.size()) < vocabulary()) {
      std::string word;
      for (int64_t i = 0; i < kLetters; ++i) word += static_cast<char>('a' + random.below(26));
      distinct.insert(word);
    }
    std::vector<std::string> words(distinct.begin(), distinct.end());
    fixed_shuffle(words, seed_);
    words[0] = kNoise;
    return words;
  }

  std::string prompt(const std::vector<std::string>& words, int64_t n) const {
    const std::vector<int64_t> counts = zeta_counts(n, static_cast<int64_t>(words.size()), alpha_);
    std::vector<std::string_view> text;
    for (size_t rank = 0; rank < words.size(); ++rank) {
      text.insert(text.end(), static_cast<size_t>(counts[rank]), words[rank]);
    }
    fixed_shuffle(text, seed_);
    return frequent_words_prompt(join_views(text, " "));
  }

  std::string task_;
  uint64_t seed_;
  int64_t counted_answer_, most_tokens_;
  double alpha_;
  TokenCounter count_tokens_;
  int64_t words_ = 0;
};

}  // namespace

std::vector<int64_t> zeta_counts(int64_t words, int64_t vocabulary, double alpha) {
  const double sum = std::riemann_zeta(alpha);
  std::vector<int64_t> counts;
  for (int64_t rank = 1; rank <= vocabulary; ++rank) {
    const double share = std::pow(static_cast<double>(rank), -alpha);
    counts.push_back(
        std::max<int64_t>(0, static_cast<int64_t>(static_cast<double>(words) * share / sum)));
  }
  return counts;
}

std::string frequent_words_prompt(const std::string& context) {
  return fill_template(std::string(kTemplate).append(kAnswerPrefix), {{"context", context}});
}

FrequentWords::FrequentWords(Params& p) {
  p.get("alpha", alpha_, "of the zeta distribution; larger: fewer different words");
  p.require_range("alpha", alpha_, 1.01, 10);
}

std::unique_ptr<RecordSource> FrequentWords::start(const GenerateRequest& request,
                                                   const TokenCounter& count_tokens) const {
  return std::make_unique<FrequentWordsSamples>(request, count_tokens, alpha_);
}

KVB_REGISTER(RulerGenerator, "freq_words_extraction", FrequentWords,
             "the three most frequent words of a coded text");

}  // namespace kvbench::ruler
