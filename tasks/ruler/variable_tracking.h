// Variable tracking: chains of assignments in noise, after a solved example.
// RULER scripts/data/synthetic/variable_tracking.py (haystack noise).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"

namespace kvbench::ruler {

// "VAR A = 12345", then "VAR B = VAR A " for each hop; these keep their blank at the end.
std::vector<std::string> variable_chain(const std::vector<std::string>& names,
                                        const std::string& value);

// The filled prompt, answer prefix included: one blank stands at its end.
std::string variable_prompt(const std::string& context, const std::string& value,
                            int64_t variables);

class VariableTracking : public RulerGenerator {
 public:
  explicit VariableTracking(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  int64_t num_chains_ = 1;
  int64_t num_hops_ = 4;
};

}  // namespace kvbench::ruler
