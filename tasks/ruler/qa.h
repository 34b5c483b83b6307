// Questions about one of many documents. RULER scripts/data/synthetic/qa.py.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"

namespace kvbench::ruler {

// The filled prompt, answer prefix included; documents are numbered from 1.
std::string qa_prompt(const std::vector<std::string_view>& documents, const std::string& query);

enum class QaSet { kSquad, kHotpotQa };

class Qa : public RulerGenerator {
 public:
  explicit Qa(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  QaSet set_ = QaSet::kSquad;
};

}  // namespace kvbench::ruler
