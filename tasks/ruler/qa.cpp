#include "tasks/ruler/qa.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/registry.h"
#include "tasks/ruler/qa_data.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

// RULER scripts/data/synthetic/constants.py.
constexpr std::string_view kTemplate =
    "Answer the question based on the given documents. Only give me the answer and do not output "
    "any other words.\n\nThe following are given documents.\n\n{context}\n\nAnswer the question "
    "based on the given documents. Only give me the answer and do not output any other "
    "words.\n\nQuestion: {query}";
constexpr std::string_view kAnswerPrefix = " Answer:";

std::filesystem::path file_of(QaSet set, const std::filesystem::path& data) {
  return set == QaSet::kSquad ? data / "squad" / "dev-v2.0.json"
                              : data / "hotpotqa" / "hotpot_dev_distractor_v1.json";
}

class QaSamples : public FittedSamples {
 public:
  QaSamples(const GenerateRequest& request, const TokenCounter& count_tokens, QaSet set)
      : FittedSamples({.task = request.task, .max_length = request.length, .step = 10},
                      request.seed, request.tokens_to_generate, count_tokens, kAnswerPrefix) {
    const std::filesystem::path file = file_of(set, request.data);
    data_ = set == QaSet::kSquad ? read_squad(file) : read_hotpotqa(file);
    const auto questions = static_cast<int64_t>(data_.questions.size());
    if (request.samples > questions) {
      throw_input_error("{}: {} samples were asked for, {} has {} questions", request.task,
                        request.samples, file.string(), questions);
    }
    fit();
  }

 private:
  // Sample i is about question i.
  std::optional<Draw> draw(int64_t size, int64_t line, Random& random) const override {
    const QaQuestion& question = data_.questions[static_cast<size_t>(line)];
    const auto count = static_cast<size_t>(size);
    std::vector<size_t> chosen = question.own;
    if (count >= data_.documents.size()) {
      // RULER takes the whole list, again and again, when it does not suffice.
      chosen.clear();
      for (size_t i = 0; i < count; ++i) chosen.push_back(i % data_.documents.size());
    } else if (count < question.own.size()) {
      return std::nullopt;
    } else if (const size_t rest = count - question.own.size(); rest > question.more.size()) {
      chosen.insert(chosen.end(), question.more.begin(), question.more.end());
      add_others(rest - question.more.size(), chosen, random);
    } else {
      for (const size_t i : random.sample(question.more.size(), rest)) {
        chosen.push_back(question.more[i]);
      }
    }
    fixed_shuffle(chosen, seed());
    std::vector<std::string_view> documents;
    for (const size_t i : chosen) documents.emplace_back(data_.documents[i]);
    return Draw{qa_prompt(documents, question.query), question.outputs};
  }

  // Random documents that are not yet chosen, as many as there are at most.
  void add_others(size_t count, std::vector<size_t>& chosen, Random& random) const {
    std::vector<size_t> taken = chosen;
    std::sort(taken.begin(), taken.end());
    taken.erase(std::unique(taken.begin(), taken.end()), taken.end());
    const size_t free = data_.documents.size() - taken.size();
    // The i-th of the free ones is found by stepping over the taken ones below it.
    for (size_t i : random.sample(free, std::min(count, free))) {
      for (const size_t document : taken) i += document <= i ? 1 : 0;
      chosen.push_back(i);
    }
  }

  QaData data_;
};

}  // namespace

std::string qa_prompt(const std::vector<std::string_view>& documents, const std::string& query) {
  std::string context;
  for (size_t i = 0; i < documents.size(); ++i) {
    context += fmt::format("{}Document {}:\n", i == 0 ? "" : "\n\n", i + 1);
    context += documents[i];
  }
  return fill_template(std::string(kTemplate).append(kAnswerPrefix),
                       {{"context", context}, {"query", query}});
}

Qa::Qa(Params& p) {
  p.choice("dataset", set_, {{"squad", QaSet::kSquad}, {"hotpotqa", QaSet::kHotpotQa}},
           "where questions and documents are from");
}

std::unique_ptr<RecordSource> Qa::start(const GenerateRequest& request,
                                        const TokenCounter& count_tokens) const {
  return std::make_unique<QaSamples>(request, count_tokens, set_);
}

KVB_REGISTER(RulerGenerator, "qa", Qa, "a question about one of many documents");

}  // namespace kvbench::ruler
