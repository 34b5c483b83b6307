#include "tasks/ruler/qa_data.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

nlohmann::json read_set(const std::filesystem::path& file, const char* name) {
  if (!std::filesystem::is_regular_file(file)) {
    throw_input_error("{}: missing; `./kvbench data fetch {}` gets it", file.string(), name);
  }
  return read_json(file);
}

// An empty answer is contained in every prediction.
std::vector<std::string> checked_outputs(std::vector<std::string> outputs, const JsonView& view) {
  if (outputs.empty()) view.fail_type("at least one answer");
  for (const std::string& output : outputs) {
    if (output.empty()) view.fail("expected answers that are not empty");
  }
  return outputs;
}

size_t index_of(const std::vector<std::string>& documents, const std::string& document) {
  return static_cast<size_t>(std::lower_bound(documents.begin(), documents.end(), document) -
                             documents.begin());
}

void check_any(const QaData& data, const std::filesystem::path& file) {
  if (data.questions.empty()) {
    throw_input_error("{}: there are no questions in it", file.string());
  }
}

template <class Use>
void for_each_item(const JsonView& list, Use use) {
  for (size_t i = 0; i < list.size(); ++i) use(list[i]);
}

std::string hotpot_document(const JsonView& paragraph) {
  if (paragraph.size() != 2) paragraph.fail_type("a title and a list of sentences");
  std::string document = paragraph[0].text() + "\n";
  for (const std::string& sentence : paragraph[1].texts()) document += sentence;
  return document;
}

}  // namespace

QaData read_squad(const std::filesystem::path& file) {
  const nlohmann::json json = read_set(file, "squad");
  const JsonView articles = JsonView(json, file.string()).at("data");
  QaData data;
  for_each_item(articles, [&](const JsonView& article) {
    for_each_item(article.at("paragraphs"), [&](const JsonView& paragraph) {
      data.documents.push_back(paragraph.at("context").filled_text());
    });
  });
  sort_distinct(data.documents);

  for_each_item(articles, [&](const JsonView& article) {
    const JsonView paragraphs = article.at("paragraphs");
    std::vector<size_t> of_article;
    for_each_item(paragraphs, [&](const JsonView& paragraph) {
      of_article.push_back(index_of(data.documents, paragraph.at("context").text()));
    });
    for (size_t p = 0; p < of_article.size(); ++p) {
      std::vector<size_t> more;
      std::copy_if(of_article.begin(), of_article.end(), std::back_inserter(more),
                   [&](size_t document) { return document != of_article[p]; });
      for_each_item(paragraphs[p].at("qas"), [&](const JsonView& qa) {
        if (qa.at("is_impossible").boolean()) return;
        std::vector<std::string> outputs;
        const JsonView answers = qa.at("answers");
        for_each_item(answers,
                      [&](const JsonView& answer) { outputs.push_back(answer.at("text").text()); });
        data.questions.push_back({qa.at("question").filled_text(),
                                  checked_outputs(std::move(outputs), answers),
                                  {of_article[p]},
                                  more});
      });
    }
  });
  check_any(data, file);
  return data;
}

QaData read_hotpotqa(const std::filesystem::path& file) {
  const nlohmann::json json = read_set(file, "hotpotqa");
  const JsonView entries(json, file.string());
  QaData data;
  std::vector<std::vector<std::string>> own;  // documents of each question
  for_each_item(entries, [&](const JsonView& entry) {
    std::vector<std::string>& documents = own.emplace_back();
    for_each_item(entry.at("context"), [&](const JsonView& paragraph) {
      documents.push_back(hotpot_document(paragraph));
    });
    data.documents.insert(data.documents.end(), documents.begin(), documents.end());
    const JsonView answer = entry.at("answer");
    data.questions.push_back(
        {entry.at("question").filled_text(), checked_outputs({answer.text()}, answer), {}, {}});
  });
  sort_distinct(data.documents);
  for (size_t i = 0; i < own.size(); ++i) {
    for (const std::string& document : own[i]) {
      data.questions[i].own.push_back(index_of(data.documents, document));
    }
  }
  check_any(data, file);
  return data;
}

}  // namespace kvbench::ruler
