#include "harness/profile/contexts.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/base/paths.h"
#include "harness/base/random.h"
#include "tasks/ruler/haystack.h"

namespace kvbench {
namespace {

constexpr const char* kAnswerPrefix = "Answer:";

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw_input_error("{}: cannot be read", file.string());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

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
    for (const auto& question : generate_questions(text, spec.questions, seed_of(spec, i))) {
      context.questions.push_back(format.question("\n" + question, kAnswerPrefix));
    }
  }
  return contexts;
}

// A sentence to quote: its first words when it is long.
std::string shortened(std::string_view sentence) {
  constexpr size_t kMostBytes = 200;
  if (sentence.size() <= kMostBytes) return std::string(sentence);
  const size_t blank = sentence.rfind(' ', kMostBytes);
  return std::string(sentence.substr(0, blank == sentence.npos ? sentence.find(' ') : blank));
}

// ---- lines of JSON ------------------------------------------------------------------------------
std::string text_of(const nlohmann::json& value, const char* key, const std::string& place) {
  if (!value.is_string() || value.get<std::string>().empty()) {
    throw_input_error("{}: {}: expected a text", place, key);
  }
  return value.get<std::string>();
}

ProfileContext read_line(const std::string& line, const std::string& place,
                         const ContextsSpec& spec, const PromptFormat& format) {
  const auto record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!record.is_object()) throw_input_error("{}: expected a JSON object", place);
  for (const auto& [key, value] : record.items()) {
    const std::vector<std::string> known = {"context", "questions", "answer_prefix"};
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      throw_input_error("{}: {}", place, unknown_name("key", key, known));
    }
  }
  for (const char* key : {"context", "questions"}) {
    if (!record.contains(key)) throw_input_error("{}: {} is missing", place, key);
  }
  const auto& questions = record["questions"];
  if (!questions.is_array() || questions.empty()) {
    throw_input_error("{}: questions: expected a list of texts", place);
  }
  const std::string answer_prefix = record.contains("answer_prefix")
                                        ? text_of(record["answer_prefix"], "answer_prefix", place)
                                        : kAnswerPrefix;
  ProfileContext context;
  context.tokens = format.context(text_of(record["context"], "context", place));
  if (static_cast<int64_t>(context.tokens.size()) > spec.length) {
    context.tokens.resize(static_cast<size_t>(spec.length));
  }
  for (const auto& question : questions) {
    context.questions.push_back(
        format.question(fmt::format("\n{}", text_of(question, "questions", place)), answer_prefix));
  }
  return context;
}

std::vector<ProfileContext> read_lines(const std::string& text, const ContextsSpec& spec,
                                       const PromptFormat& format) {
  std::vector<ProfileContext> contexts;
  std::istringstream in(text);
  int64_t line_number = 0;
  for (std::string line; std::getline(in, line);) {
    ++line_number;
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    contexts.push_back(
        read_line(line, fmt::format("{}:{}", spec.file.string(), line_number), spec, format));
    if (static_cast<int64_t>(contexts.size()) == spec.count) break;
  }
  if (contexts.empty() || static_cast<int64_t>(contexts.size()) < spec.count) {
    throw_input_error("{}: holds {} contexts, expected {}", spec.file.string(), contexts.size(),
                      std::max<int64_t>(spec.count, 1));
  }
  return contexts;
}

}  // namespace

std::vector<std::string> generate_questions(const std::string& text, int64_t count, uint64_t seed) {
  auto sentences = ruler::split_sentences(text);
  // The first may hold the prompt's head, the last is cut; a text without more is quoted as it is.
  if (sentences.size() > 2) sentences = {sentences.begin() + 1, sentences.end() - 1};
  if (sentences.empty()) sentences = {text};
  Random random(seed);
  std::vector<std::string> questions;
  for (int64_t i = 0; i < count; ++i) {
    const std::string sentence = shortened(sentences[random.below(sentences.size())]);
    const std::string half = sentence.substr(0, sentence.find(' ', sentence.size() / 2));
    switch (random.below(3)) {
      case 0:
        questions.push_back(
            fmt::format("What does the text above say directly after \"{}\"?", sentence));
        break;
      case 1:
        questions.push_back(fmt::format("Complete this sentence of the text above: \"{}", half));
        break;
      default:
        questions.push_back(
            fmt::format("In the text above, what is said where it reads \"{}\", and why?", half));
    }
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
