#include "tasks/ruler/niah.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

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
constexpr std::string_view kNeedle =
    "One of the special magic {type_needle_v} for {key} is: {value}.";

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

// Version 4: uuid.UUID(int=random.getrandbits(128), version=4).
std::string draw_uuid(Random& random) {
  const uint64_t high = (random.next() & ~0xf000ULL) | 0x4000ULL;
  const uint64_t low = (random.next() & ~(0xc0ULL << 56)) | (0x80ULL << 56);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

std::string draw_text(NeedleType type, const WordLists& words, Random& random) {
  switch (type) {
    case NeedleType::kNumbers:
      return fmt::format("{}", random.between(1000000, 9999999));
    case NeedleType::kWords:
      return words.draw(random);
    case NeedleType::kUuids:
      return draw_uuid(random);
  }
  return "";
}

// The first needle goes before the line of the largest drawn index, so a needle is never last.
std::optional<std::string> insert_between_lines(std::vector<std::string> lines,
                                                const std::vector<std::string>& needles,
                                                Random& random) {
  if (lines.size() < needles.size()) return std::nullopt;
  std::vector<size_t> indexes = random.sample(lines.size(), needles.size());
  std::sort(indexes.rbegin(), indexes.rend());
  for (size_t i = 0; i < needles.size(); ++i) {
    lines.insert(lines.begin() + static_cast<int64_t>(indexes[i]), needles[i]);
  }
  return join(lines, "\n");
}

}  // namespace

struct Niah::Data {
  std::optional<Essay> essay;
  WordLists words;
};

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

Niah::Niah(Params& p) {
  NiahParameters& n = parameters_;
  p.choice("type_haystack", n.haystack,
           {{"noise", HaystackType::kNoise},
            {"essay", HaystackType::kEssay},
            {"needle", HaystackType::kNeedle}},
           "what the needles are hidden in");
  const auto needle_type = [&](const char* key, NeedleType& type, const char* doc) {
    p.choice(key, type,
             {{"numbers", NeedleType::kNumbers},
              {"words", NeedleType::kWords},
              {"uuids", NeedleType::kUuids}},
             doc);
  };
  needle_type("type_needle_k", n.keys, "keys of the needles");
  needle_type("type_needle_v", n.values, "values of the needles");
  p.get("num_needle_k", n.num_keys, "keys; at least as many as are asked for");
  p.get("num_needle_v", n.num_values, "values of each key");
  p.get("num_needle_q", n.num_queries, "keys asked for");
  p.require_range("num_needle_k", static_cast<double>(n.num_keys), 1, 40);
  p.require_range("num_needle_v", static_cast<double>(n.num_values), 1, 40);
  p.require_range("num_needle_q", static_cast<double>(n.num_queries), 1, 40);
  n.num_keys = std::max(n.num_keys, n.num_queries);
  p.require(n.num_keys * n.num_values <= 40, "num_needle_v",
            "expected at most 40 needles, an essay has 40 places for them");
}

std::optional<std::string> Niah::context(int64_t size, const std::vector<std::string>& needles,
                                         const Data& data, Random& random) const {
  if (parameters_.haystack == HaystackType::kEssay) {
    const std::string text = data.essay->first_words(size);
    const std::vector<std::string_view> sentences = split_sentences(text);
    return insert_between_sentences(
        sentences, draw_sentence_positions(sentences.size(), needles.size(), random), needles);
  }
  std::vector<std::string> lines(static_cast<size_t>(size), std::string(kNoiseLine));
  if (parameters_.haystack == HaystackType::kNeedle) {
    for (std::string& line : lines) {
      const std::string key = draw_text(parameters_.keys, data.words, random);
      line =
          niah_needle(parameters_.values, key, draw_text(parameters_.values, data.words, random));
    }
  }
  return insert_between_lines(std::move(lines), needles, random);
}

std::optional<Draw> Niah::draw(int64_t size, const Data& data, uint64_t seed,
                               Random& random) const {
  std::vector<std::string> keys, needles;
  std::vector<std::vector<std::string>> values;
  for (int64_t k = 0; k < parameters_.num_keys; ++k) {
    keys.push_back(draw_text(parameters_.keys, data.words, random));
    values.emplace_back();
    for (int64_t v = 0; v < parameters_.num_values; ++v) {
      values.back().push_back(draw_text(parameters_.values, data.words, random));
      needles.push_back(niah_needle(parameters_.values, keys.back(), values.back().back()));
    }
  }
  fixed_shuffle(needles, seed);
  const std::optional<std::string> text = context(size, needles, data, random);
  if (!text) return std::nullopt;

  Draw drawn;
  std::vector<std::string> asked;
  for (const size_t k : random.sample(keys.size(), static_cast<size_t>(parameters_.num_queries))) {
    asked.push_back(keys[k]);
    drawn.answers.insert(drawn.answers.end(), values[k].begin(), values[k].end());
  }
  drawn.prompt = niah_prompt(parameters_, *text, niah_query(asked));
  return drawn;
}

std::vector<RulerRecord> Niah::generate(const GenerateRequest& request,
                                        const TokenCounter& count_tokens) const {
  const bool essay = parameters_.haystack == HaystackType::kEssay;
  Data data;
  if (essay) data.essay = load_essay(request.data / "essays");
  if (parameters_.keys == NeedleType::kWords || parameters_.values == NeedleType::kWords) {
    data.words = load_words(request.data / "words");
  }
  Random random(request.seed);
  const Drawer drawer = [&](int64_t size) { return draw(size, data, request.seed, random); };
  const FitRule rule = {.task = request.task,
                        .max_length = request.length,
                        .step = essay ? 500 : noise_step(request.length, 25)};
  const int64_t size = fit_size(rule, drawer, count_tokens, request.tokens_to_generate);

  std::vector<RulerRecord> records;
  for (int64_t i = 0; i < request.samples; ++i) {
    RulerRecord record = to_record(
        i, fit_draw(rule, size, drawer, count_tokens, request.tokens_to_generate), kAnswerPrefix);
    const std::string_view before =
        std::string_view(record.input).substr(0, record.input.find(record.outputs[0]));
    record.index = count_code_points(before);
    record.token_position_answer = count_tokens(before);
    records.push_back(std::move(record));
  }
  return records;
}

KVB_REGISTER(RulerGenerator, "niah", Niah, "needles in noise, an essay or among other needles");

}  // namespace kvbench::ruler
