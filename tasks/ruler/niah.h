// Needle in a haystack: keys and values hidden in noise, an essay or other needles.
// RULER scripts/data/synthetic/niah.py; the variants are the niah_*.yaml files here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"
#include "tasks/ruler/haystack.h"
#include "tasks/ruler/words.h"

namespace kvbench::ruler {

enum class HaystackType { kNoise, kEssay, kNeedle };
enum class NeedleType { kNumbers, kWords, kUuids };

struct NiahParameters {
  HaystackType haystack = HaystackType::kEssay;
  NeedleType keys = NeedleType::kWords;
  NeedleType values = NeedleType::kNumbers;
  int64_t num_keys = 1;      // num_needle_k; RULER uses max(num_needle_k, num_needle_q)
  int64_t num_values = 1;    // num_needle_v, of each key
  int64_t num_queries = 1;   // num_needle_q
  int64_t value_digits = 7;  // of a value of type numbers
};

// "One of the special magic numbers for KEY is: VALUE.", always in the plural.
std::string niah_needle(NeedleType values, const std::string& key, const std::string& value);

// "a"; "a, and b"; "a, b, c, and d".
std::string niah_query(const std::vector<std::string>& keys);

// The filled prompt, answer prefix included; in the singular when one value is asked for.
std::string niah_prompt(const NiahParameters& parameters, const std::string& context,
                        const std::string& query);

// "numbers", "words", "uuids".
const char* plural(NeedleType type);

// Reads the two word lists when keys or values are words.
WordLists load_needle_words(const NiahParameters& parameters, const std::filesystem::path& folder);

std::string draw_key(const NiahParameters& parameters, const WordLists& words, Random& random);
std::string draw_value(const NiahParameters& parameters, const WordLists& words, Random& random);

// What a sample hides.
struct Hidden {
  std::vector<std::string> keys;
  std::vector<std::vector<std::string>> values;  // of each key
  std::vector<std::string> needles;              // in the order in which they are put into the text
};
Hidden draw_hidden(const NiahParameters& parameters, const WordLists& words, uint64_t seed,
                   Random& random);

// Random keys to ask for, and all their values in that order.
struct Asked {
  std::string query;
  std::vector<std::string> answers;
};
Asked draw_asked(const NiahParameters& parameters, const Hidden& hidden, Random& random);

// The lines joined by newlines, with each needle before a line of its own; the first needle goes
// before the line of the largest drawn index, so a needle is never the last line. Nothing when
// there are fewer lines than needles.
std::optional<std::string> hide_between_lines(std::vector<std::string_view> lines,
                                              const std::vector<std::string>& needles,
                                              Random& random);

// The parameters that all versions have.
void read_needle_types(Params& p, NiahParameters& parameters);

class Niah : public RulerGenerator {
 public:
  explicit Niah(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  NiahParameters parameters_;
};

}  // namespace kvbench::ruler
