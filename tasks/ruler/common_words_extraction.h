// Common words: a numbered list in which ten words stand more often than the others, after a solved
// example. RULER scripts/data/synthetic/common_words_extraction.py.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"

namespace kvbench::ruler {

// "1. this 2. that"
std::string numbered_list(const std::vector<std::string_view>& words);

// The filled prompt, answer prefix included.
std::string common_words_prompt(const std::string& list);

class CommonWords : public RulerGenerator {
 public:
  explicit CommonWords(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  int64_t freq_cw_ = 30, freq_ucw_ = 3;
};

}  // namespace kvbench::ruler
