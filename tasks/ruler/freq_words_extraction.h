// Frequent words: invented words whose counts follow a zeta distribution, the first of them dots.
// RULER scripts/data/synthetic/freq_words_extraction.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"

namespace kvbench::ruler {

// How often the word of each rank stands in a text of about `words` words:
// floor(words * rank^-alpha / zeta(alpha)), ranks 1 .. vocabulary. alpha > 1.
std::vector<int64_t> zeta_counts(int64_t words, int64_t vocabulary, double alpha);

// The filled prompt, answer prefix included.
std::string frequent_words_prompt(const std::string& context);

class FrequentWords : public RulerGenerator {
 public:
  explicit FrequentWords(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  double alpha_ = 2;
};

}  // namespace kvbench::ruler
