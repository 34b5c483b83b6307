// RULERv2's basic needle tasks: keys and values among other needles.
// NVIDIA-NeMo/Skills nemo_skills/dataset/ruler2/prepare_niah.py (commit 2f7a3a33).
#pragma once

#include <memory>
#include <string>

#include "harness/base/params.h"
#include "tasks/ruler/generator.h"
#include "tasks/ruler/niah.h"

namespace kvbench::ruler {

// The filled prompt, which is the user's turn as a whole: what RULER calls the answer prefix is the
// question's last sentence. In the singular when one value is asked for.
std::string niah_ruler2_prompt(const NiahParameters& parameters, const std::string& context,
                               const std::string& query);

// As niah with haystack `needle`, but when a key has several values so do the distractors' keys
// (whose needles are shuffled; the last key may have fewer), and a LENGTH is that of the prompt
// alone.
class NiahRuler2 : public RulerGenerator {
 public:
  explicit NiahRuler2(Params& p);

  std::unique_ptr<RecordSource> start(const GenerateRequest& request,
                                      const TokenCounter& count_tokens) const override;

 private:
  NiahParameters parameters_;
};

}  // namespace kvbench::ruler
