#include "tasks/ruler/niah.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "harness/base/registry.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

// RULER scripts/data/synthetic/constants.py and niah.py.
constexpr std::string_view kTemplate =
    "Some special magic {type_needle_v} are hidden within the following text. Make sure to "
    "memorize "
    "it. I will quiz you about the {type_needle_v} afterwards.\n{context}\nWhat are all the "
    "special "
    "magic {type_needle_v} for {query} mentioned in the provided text?";
constexpr std::string_view kAnswerPrefix =
    " The special magic {type_needle_v} for {query} mentioned in the provided text are";
constexpr int64_t kKeyDigits = 7;
constexpr std::string_view kNeedle =
    "One of the special magic {type_needle_v} for {key} is: {value}.";

// Version 4: uuid.UUID(int=random.getrandbits(128), version=4).
std::string draw_uuid(Random& random) {
  const uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
  const uint64_t low = (random.next() & ~(0xc0ULL << 56)) | (0x80ULL << 56);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

std::string draw_text(NeedleType type, int64_t digits, const WordLists& words, Random& random) {
  switch (type) {
    case NeedleType::kNumbers: {
      int64_t lowest = 1;
      for (int64_t i = 1; i < digits; ++i) lowest *= 10;
      return fmt::format("{}", random.between(lowest, 10 * lowest - 1));
    }
    case NeedleType::kWords:
      return words.draw(random);
    case NeedleType::kUuids:
      return draw_uuid(random);
  }
  return "";
}

}  // namespace

const char* plural(NeedleType type) {
  switch (type) {
    case NeedleType::kNumbers:
      return "numbers";
    case NeedleType::kWords:
      return "words";
    case NeedleType::kUuids:
      return "uuids";
  }
  return "";
}

std::string niah_needle(NeedleType values, const std::string& key, const std::string& value) {
  return fill_template(kNeedle,
                       {{"type_needle_v", plural(values)}, {"key", key}, {"value", value}});
}

std::string niah_query(const std::vector<std::string>& keys) {
  if (keys.size() == 1) return keys[0];
  return join({keys.begin(), keys.end() - 1}, ", ") + ", and " + keys.back();
}

std::string niah_prompt(const NiahParameters& parameters, const std::string& context,
                        const std::string& query) {
  std::string prompt = std::string(kTemplate).append(kAnswerPrefix);
  std::string type = plural(parameters.values);
  if (parameters.num_queries * parameters.num_values == 1) {
    prompt = replace_all(prompt, "Some", "A");
    prompt = replace_all(prompt, "are all", "is");
    prompt = replace_all(prompt, "are", "is");
    prompt = replace_all(prompt, "answers", "answer");
    type.pop_back();
  }
  return fill_template(prompt, {{"type_needle_v", type}, {"context", context}, {"query", query}});
}

WordLists load_needle_words(const NiahParameters& parameters, const std::filesystem::path& folder) {
  const bool any = parameters.keys == NeedleType::kWords || parameters.values == NeedleType::kWords;
  return any ? load_words(folder) : WordLists();
}

std::string draw_key(const NiahParameters& parameters, const WordLists& words, Random& random) {
  return draw_text(parameters.keys, kKeyDigits, words, random);
}

std::string draw_value(const NiahParameters& parameters, const WordLists& words, Random& random) {
  return draw_text(parameters.values, parameters.value_digits, words, random);
}

Hidden draw_hidden(const NiahParameters& parameters, const WordLists& words, uint64_t seed,
                   Random& random) {
  Hidden hidden;
  for (int64_t k = 0; k < parameters.num_keys; ++k) {
    const std::string& key = hidden.keys.emplace_back(draw_key(parameters, words, random));
    std::vector<std::string>& values = hidden.values.emplace_back();
    for (int64_t v = 0; v < parameters.num_values; ++v) {
      values.push_back(draw_value(parameters, words, random));
      hidden.needles.push_back(niah_needle(parameters.values, key, values.back()));
    }
  }
  fixed_shuffle(hidden.needles, seed);
  return hidden;
}

Asked draw_asked(const NiahParameters& parameters, const Hidden& hidden, Random& random) {
  Asked asked;
  std::vector<std::string> keys;
  for (const size_t k :
       random.sample(hidden.keys.size(), static_cast<size_t>(parameters.num_queries))) {
    keys.push_back(hidden.keys[k]);
    asked.answers.insert(asked.answers.end(), hidden.values[k].begin(), hidden.values[k].end());
  }
  asked.query = niah_query(keys);
  return asked;
}

std::optional<std::string> hide_between_lines(std::vector<std::string_view> lines,
                                              const std::vector<std::string>& needles,
                                              Random& random) {
  if (lines.size() < needles.size()) return std::nullopt;
  std::vector<size_t> indexes = random.sample(lines.size(), needles.size());
  std::sort(indexes.rbegin(), indexes.rend());
  for (size_t i = 0; i < needles.size(); ++i) {
    lines.insert(lines.begin() + static_cast<int64_t>(indexes[i]), needles[i]);
  }
  return join_views(lines, "\n");
}

void read_needle_types(Params& p, NiahParameters& parameters) {
  const auto needle_type = [&](const char* key, NeedleType& type, const char* doc) {
    p.choice(key, type,
             {{"numbers", NeedleType::kNumbers},
              {"words", NeedleType::kWords},
              {"uuids", NeedleType::kUuids}},
             doc);
  };
  needle_type("type_needle_k", parameters.keys, "keys of the needles");
  needle_type("type_needle_v", parameters.values, "values of the needles");
  p.get("num_needle_k", parameters.num_keys, "keys; at least as many as are asked for");
  p.get("num_needle_v", parameters.num_values, "values of each key");
  p.get("num_needle_q", parameters.num_queries, "keys asked for");
  p.require_range("num_needle_k", static_cast<double>(parameters.num_keys), 1, 40);
  p.require_range("num_needle_v", static_cast<double>(parameters.num_values), 1, 40);
  p.require_range("num_needle_q", static_cast<double>(parameters.num_queries), 1, 40);
  parameters.num_keys = std::max(parameters.num_keys, parameters.num_queries);
  p.require(parameters.num_keys * parameters.num_values <= 40, "num_needle_v",
            "expected at most 40 needles, an essay has 40 places for them");
}

namespace {

// The first words of the essay and where its sentences are; the same for all samples of a size.
struct Prose {
  explicit Prose(std::string words) : text(std::move(words)), sentences(split_sentences(text)) {}
  Prose(const Prose&) = delete;  // the sentences point into the text
  Prose& operator=(const Prose&) = delete;

  std::string text;
  std::vector<std::string_view> sentences;
};

class NiahSamples : public FittedSamples {
 public:
  NiahSamples(const GenerateRequest& request, const TokenCounter& count_tokens,
              const NiahParameters& parameters)
      : FittedSamples(
            {.task = request.task,
             .max_length = request.length,
             .step = parameters.haystack == HaystackType::kEssay ? 500
                                                                 : noise_step(request.length, 25)},
            request.seed, request.tokens_to_generate, count_tokens, kAnswerPrefix),
        parameters_(parameters),
        words_(load_needle_words(parameters, request.data / "words")) {
    if (parameters_.haystack == HaystackType::kEssay) essay_ = load_essay(request.data / "essays");
    fit();
  }

  RulerRecord sample(int64_t line) const override {
    RulerRecord record = FittedSamples::sample(line);
    const std::string_view before =
        std::string_view(record.input).substr(0, record.input.find(record.outputs[0]));
    record.index = count_code_points(before);
    record.token_position_answer = count_tokens()(before);
    return record;
  }

 private:
  // Samples are of few sizes, and the search looks at few.
  const Prose& prose(int64_t size) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::unique_ptr<Prose>& found = prose_[size];
    if (!found) found = std::make_unique<Prose>(essay_->first_words(size));
    return *found;
  }

  std::optional<std::string> context(int64_t size, const std::vector<std::string>& needles,
                                     Random& random) const {
    const auto n_lines = static_cast<size_t>(size);
    switch (parameters_.haystack) {
      case HaystackType::kEssay: {
        const auto& sentences = prose(size).sentences;
        return insert_between_sentences(
            sentences, draw_sentence_positions(sentences.size(), needles.size(), random), needles);
      }
      case HaystackType::kNoise:
        return hide_between_lines(std::vector<std::string_view>(n_lines, kNoiseLine), needles,
                                  random);
      case HaystackType::kNeedle: {
        std::vector<std::string> distractors;
        for (size_t i = 0; i < n_lines; ++i) {
          const std::string key = draw_key(parameters_, words_, random);
          distractors.push_back(
              niah_needle(parameters_.values, key, draw_value(parameters_, words_, random)));
        }
        return hide_between_lines({distractors.begin(), distractors.end()}, needles, random);
      }
    }
    return std::nullopt;
  }

  std::optional<Draw> draw(int64_t size, int64_t /*line*/, Random& random) const override {
    const Hidden hidden = draw_hidden(parameters_, words_, seed(), random);
    const std::optional<std::string> text = context(size, hidden.needles, random);
    if (!text) return std::nullopt;
    Asked asked = draw_asked(parameters_, hidden, random);
    return Draw{niah_prompt(parameters_, *text, asked.query), std::move(asked.answers)};
  }

  NiahParameters parameters_;
  WordLists words_;
  std::optional<Essay> essay_;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::unique_ptr<Prose>> prose_;
};

}  // namespace

Niah::Niah(Params& p) {
  p.choice("type_haystack", parameters_.haystack,
           {{"noise", HaystackType::kNoise},
            {"essay", HaystackType::kEssay},
            {"needle", HaystackType::kNeedle}},
           "what the needles are hidden in");
  read_needle_types(p, parameters_);
}

std::unique_ptr<RecordSource> Niah::start(const GenerateRequest& request,
                                          const TokenCounter& count_tokens) const {
  return std::make_unique<NiahSamples>(request, count_tokens, parameters_);
}

KVB_REGISTER(RulerGenerator, "niah", Niah, "needles in noise, an essay or among other needles");

}  // namespace kvbench::ruler
