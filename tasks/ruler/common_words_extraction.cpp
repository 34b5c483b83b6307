#include "tasks/ruler/common_words_extraction.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/registry.h"
#include "tasks/ruler/words.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

// RULER scripts/data/synthetic/constants.py.
constexpr std::string_view kTemplate =
    "Below is a numbered list of words. In these words, some appear more often than others. "
    "Memorize the ones that appear most often.\n{context}\nQuestion: What are the 10 most common "
    "words in the above list?";
constexpr std::string_view kAnswerPrefix =
    " Answer: The top 10 words that appear most often in the list are:";
constexpr int64_t kCommon = 10;

constexpr int64_t kProbeWords = 4096;

// How many distinct words a list has, and how often the common and the other ones stand in it.
struct Shape {
  int64_t words, common, others;
};

class CommonWordsSamples : public FittedSamples {
 public:
  CommonWordsSamples(const GenerateRequest& request, const TokenCounter& count_tokens,
                     int64_t freq_cw, int64_t freq_ucw)
      : CommonWordsSamples(request, count_tokens, freq_cw, freq_ucw,
                           load_all_words(request.data / "words"),
                           load_more_words(more_words_file(request))) {}

 private:
  CommonWordsSamples(const GenerateRequest& request, const TokenCounter& count_tokens,
                     int64_t freq_cw, int64_t freq_ucw, std::vector<std::string> words,
                     std::vector<std::string> more_words)
      : FittedSamples({.task = request.task,
                       .max_length = request.length,
                       .step = 10,
                       .probe = kProbeWords,
                       .bound = [](double units) { return 2 * static_cast<int64_t>(units); },
                       .most = static_cast<int64_t>(std::max(words.size(), more_words.size()))},
                      request.seed, request.tokens_to_generate, count_tokens, kAnswerPrefix),
        words_(std::move(words)),
        more_words_(std::move(more_words)),
        // RULER repeats less often in short tasks, whatever the parameters are.
        is_short_(request.length < 4096),
        freq_cw_(freq_cw),
        freq_ucw_(freq_ucw) {
    if (words_.size() < static_cast<size_t>(example().words)) {
      throw_input_error("{}: the word lists have {} words, expected at least {}",
                        (request.data / "words").string(), words_.size(), example().words);
    }
    fixed_shuffle(words_, seed());
    fit();
    if (size() == rule().most) {
      throw_input_error(
          "{}: missing or too short: {} of length {} needs more than {} different words; put "
          "RULER's list there, scripts/data/synthetic/json/english_words.json of its repository",
          more_words_file(request).string(), request.task, request.length, size());
    }
  }

  static std::filesystem::path more_words_file(const GenerateRequest& request) {
    return request.data / "english_words.json";
  }

  Shape example() const { return is_short_ ? Shape{20, 3, 1} : Shape{40, 10, 3}; }
  Shape main(int64_t size) const {
    return is_short_ ? Shape{size, 6, 1} : Shape{size, freq_cw_, freq_ucw_};
  }

  struct List {
    std::string text;
    std::vector<std::string_view> common;
  };

  List draw_list(const Shape& shape, Random& random) const {
    const auto count = static_cast<size_t>(shape.words);
    const std::vector<std::string>& from = count <= words_.size() ? words_ : more_words_;
    std::vector<std::string_view> picked, all;
    for (const size_t i : random.sample(from.size(), count)) picked.emplace_back(from[i]);
    const auto common_end = picked.begin() + kCommon;
    for (int64_t i = 0; i < shape.common; ++i) all.insert(all.end(), picked.begin(), common_end);
    for (int64_t i = 0; i < shape.others; ++i) all.insert(all.end(), common_end, picked.end());
    fixed_shuffle(all, seed());
    return {numbered_list(all), {picked.begin(), common_end}};
  }

  std::optional<Draw> draw(int64_t size, int64_t /*line*/, Random& random) const override {
    const List solved = draw_list(example(), random);
    const List list = draw_list(main(size), random);
    return Draw{common_words_prompt(solved.text) + " " + numbered_list(solved.common) + "\n" +
                    common_words_prompt(list.text),
                {list.common.begin(), list.common.end()}};
  }

  std::vector<std::string> words_, more_words_;
  bool is_short_;
  int64_t freq_cw_, freq_ucw_;
};

}  // namespace

std::string numbered_list(const std::vector<std::string_view>& words) {
  std::string out;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += ' ';
    out.append(fmt::format_int(i + 1).str()).append(". ").append(words[i]);
  }
  return out;
}

std::string common_words_prompt(const std::string& list) {
  return fill_template(std::string(kTemplate).append(kAnswerPrefix), {{"context", list}});
}

CommonWords::CommonWords(Params& p) {
  p.get("freq_cw", freq_cw_, "how often a common word stands in the list, from 4096 tokens on");
  p.get("freq_ucw", freq_ucw_, "how often every other word does, from 4096 tokens on");
  p.require_range("freq_cw", static_cast<double>(freq_cw_), 2, 1000);
  p.require_range("freq_ucw", static_cast<double>(freq_ucw_), 1, static_cast<double>(freq_cw_ - 1));
}

std::unique_ptr<RecordSource> CommonWords::start(const GenerateRequest& request,
                                                 const TokenCounter& count_tokens) const {
  return std::make_unique<CommonWordsSamples>(request, count_tokens, freq_cw_, freq_ucw_);
}

KVB_REGISTER(RulerGenerator, "common_words_extraction", CommonWords,
             "the ten most common words of a list");

}  // namespace kvbench::ruler
