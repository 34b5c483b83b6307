#include "harness/profile/contexts.h"

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/base/json_view.h"
#include "harness/base/paths.h"
#include "harness/base/random.h"
#include "tasks/ruler/haystack.h"

namespace kvbench {
namespace {

constexpr const char* kAnswerPrefix = "Answer:";

// ---- prose --------------------------------------------------------------------------------------
// A seed of its own for each context, whatever the number of contexts.
uint64_t seed_of(const ContextsSpec& spec, int64_t context) {
  return spec.seed + 1000 * static_cast<uint64_t>(context);
}

// Where sentences begin, with the length of text behind each; multiples of the golden ratio spread
// evenly for every number of contexts.
size_t place_of_context(int64_t context, uint64_t seed, size_t n_places) {
  const double golden = (std::sqrt(5.0) - 1) / 2;
  const double turns = Random(seed).unit() + golden * static_cast<double>(context);
  return static_cast<size_t>((turns - std::floor(turns)) * static_cast<double>(n_places));
}

std::vector<ProfileContext> cut_prose(const std::string& prose, const ContextsSpec& spec,
                                      const PromptFormat& format, const std::string& source) {
  constexpr size_t kBytesPerToken = 12;  // above any tokenizer's mean on prose
  const auto sentences = ruler::split_sentences(prose);
  const size_t n_bytes = kBytesPerToken * static_cast<size_t>(spec.length);
  // Sentences with enough text behind them; all of them when the text is short.
  const char* const end = prose.data() + prose.size();
  auto n_places = static_cast<size_t>(
      std::partition_point(sentences.begin(), sentences.end(),
                           [&](std::string_view s) {
                             return end - s.data() >= static_cast<std::ptrdiff_t>(n_bytes);
                           }) -
      sentences.begin());
  n_places = std::max<size_t>(n_places, 1);
  std::vector<ProfileContext> contexts;
  for (int64_t i = 0; i < spec.count; ++i) {
    const auto first = static_cast<size_t>(
        sentences.empty()
            ? 0
            : sentences[place_of_context(i, spec.seed, n_places)].data() - prose.data());
    ProfileContext& context = contexts.emplace_back();
    context.tokens = format.context(prose.substr(first, n_bytes));
    const auto n_tokens = static_cast<int64_t>(context.tokens.size());
    if (n_tokens < spec.length) {
      throw_input_error("{}: too short: a context from it has {} tokens, expected {}", source,
                        n_tokens, spec.length);
    }
    context.tokens.resize(static_cast<size_t>(spec.length));
    const std::string text =
        format.tokenizer().decode(context.tokens, /*skip_special_tokens=*/true);
    for (const auto& asked : generate_questions(text, spec.ask, spec.questions, seed_of(spec, i))) {
      context.questions.push_back(format.question("\n" + asked.text, asked.answer_prefix));
    }
  }
  return contexts;
}

// ---- questions ----------------------------------------------------------------------------------
// A sentence to quote: its first words when it is long.
std::string shortened(std::string_view sentence) {
  constexpr size_t kMostBytes = 200;
  if (sentence.size() <= kMostBytes) return std::string(sentence);
  const size_t blank = sentence.rfind(' ', kMostBytes);
  return std::string(sentence.substr(0, blank == sentence.npos ? sentence.find(' ') : blank));
}

std::string first_words(std::string_view text, int64_t count) {
  size_t end = 0;
  for (int64_t i = 0; i < count && end != text.npos; ++i) end = text.find(' ', end + 1);
  return std::string(text.substr(0, end));
}

AskedQuestion ask_to_recite(std::string_view sentence) {
  constexpr int64_t kWords = 6;
  const std::string start = first_words(shortened(sentence), kWords);
  return {
      fmt::format(R"(What does the text above say from "{}" on? Repeat it word for word.)", start),
      fmt::format(R"({} "{})", kAnswerPrefix, start)};
}

AskedQuestion ask_to_explain(std::string_view sentence, Random& random) {
  const std::string whole = shortened(sentence);
  const std::string half = whole.substr(0, whole.find(' ', whole.size() / 2));
  switch (random.below(3)) {
    case 0:
      return {fmt::format(R"(What does the text above say directly after "{}"?)", whole),
              kAnswerPrefix};
    case 1:
      return {fmt::format(R"(Complete this sentence of the text above: "{})", half), kAnswerPrefix};
    default:
      return {fmt::format(R"(In the text above, what is said where it reads "{}", and why?)", half),
              kAnswerPrefix};
  }
}

// ---- lines of JSON ------------------------------------------------------------------------------
std::string text_of(const JsonView& value) {
  if (value.text().empty()) value.fail_type("a text");
  return value.text();
}

ProfileContext read_record(const JsonView& record, const ContextsSpec& spec,
                           const PromptFormat& format) {
  record.allow_only({"context", "questions", "answer_prefix"});
  const std::string text = text_of(record.at("context"));
  const JsonView questions = record.at("questions");
  if (questions.size() == 0) questions.fail_type("a list of texts");
  const auto prefixes = record.find("answer_prefix");
  const bool one_each = prefixes && prefixes->value().is_array();
  if (one_each && prefixes->size() != questions.size()) {
    prefixes->fail(
        fmt::format("expected a text or {} of them, found {}", questions.size(), prefixes->size()));
  }
  ProfileContext context;
  context.tokens = format.context(text);
  if (static_cast<int64_t>(context.tokens.size()) > spec.length) {
    context.tokens.resize(static_cast<size_t>(spec.length));
  }
  for (size_t i = 0; i < questions.size(); ++i) {
    const std::string prefix =
        prefixes ? text_of(one_each ? (*prefixes)[i] : *prefixes) : kAnswerPrefix;
    context.questions.push_back(format.question("\n" + text_of(questions[i]), prefix));
  }
  return context;
}

std::vector<ProfileContext> read_lines(const std::string& text, const ContextsSpec& spec,
                                       const PromptFormat& format) {
  std::vector<ProfileContext> contexts;
  for_each_json_line(text, spec.file.string(), [&](const JsonView& record, int64_t /*line*/) {
    contexts.push_back(read_record(record, spec, format));
    return static_cast<int64_t>(contexts.size()) != spec.count;
  });
  if (contexts.empty() || static_cast<int64_t>(contexts.size()) < spec.count) {
    throw_input_error("{}: holds {} contexts, expected {}", spec.file.string(), contexts.size(),
                      std::max<int64_t>(spec.count, 1));
  }
  return contexts;
}

}  // namespace

std::vector<AskedQuestion> generate_questions(const std::string& text, const std::string& ask,
                                              int64_t count, uint64_t seed) {
  auto sentences = ruler::split_sentences(text);
  // The first may hold the prompt's head, the last is cut; a text without more is quoted as it is.
  if (sentences.size() > 2) sentences = {sentences.begin() + 1, sentences.end() - 1};
  if (sentences.empty()) sentences = {text};
  const bool recite = ask == "recite";
  // A recitation needs text to go on with.
  if (recite) sentences.resize(sentences.size() - sentences.size() / 8);
  Random random(seed);
  std::vector<AskedQuestion> questions;
  for (int64_t i = 0; i < count; ++i) {
    const std::string_view sentence = sentences[random.below(sentences.size())];
    questions.push_back(recite ? ask_to_recite(sentence) : ask_to_explain(sentence, random));
  }
  return questions;
}

ProfileContexts load_contexts(const ContextsSpec& spec, const PromptFormat& format) {
  if (spec.file.empty()) {
    const auto folder = deps_dir() / "data/essays";
    const ruler::Essay essay = ruler::load_essay(folder);
    const std::string prose = essay.first_words(essay.words());
    return {cut_prose(prose, spec, format, folder.string()), sha256_hex(prose)};
  }
  const std::string text = read_file(spec.file);
  auto contexts = spec.file.extension() == ".jsonl"
                      ? read_lines(text, spec, format)
                      : cut_prose(text, spec, format, spec.file.string());
  return {std::move(contexts), sha256_hex(text)};
}

}  // namespace kvbench
