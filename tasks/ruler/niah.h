// Needle in a haystack: keys and values hidden in noise, an essay or other needles.
// RULER scripts/data/synthetic/niah.py; the variants are the niah_*.yaml files here.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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
  int64_t num_keys = 1;     // num_needle_k; RULER uses max(num_needle_k, num_needle_q)
  int64_t num_values = 1;   // num_needle_v, of each key
  int64_t num_queries = 1;  // num_needle_q
};

// "One of the special magic numbers for KEY is: VALUE.", always in the plural.
std::string niah_needle(NeedleType values, const std::string& key, const std::string& value);

// "a"; "a, and b"; "a, b, c, and d".
std::string niah_query(const std::vector<std::string>& keys);

// The filled prompt, answer prefix included; in the singular when one value is asked for.
std::string niah_prompt(const NiahParameters& parameters, const std::string& context,
                        const std::string& query);

class Niah : public RulerGenerator {
 public:
  explicit Niah(Params& p);

  std::vector<RulerRecord> generate(const GenerateRequest& request,
                                    const TokenCounter& count_tokens) const override;

  const NiahParameters& parameters() const { return parameters_; }

 private:
  struct Data;

  std::optional<Draw> draw(int64_t size, const Data& data, uint64_t seed, Random& random) const;
  std::optional<std::string> context(int64_t size, const std::vector<std::string>& needles,
                                     const Data& data, Random& random) const;

  NiahParameters parameters_;
};

}  // namespace kvbench::ruler
