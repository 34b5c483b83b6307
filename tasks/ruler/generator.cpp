#include "tasks/ruler/generator.h"

#include "harness/base/error.h"

namespace kvbench::ruler {

RulerRecord to_record(int64_t line, FittedDraw sample, std::string_view answer_prefix) {
  const std::string& prompt = sample.draw.prompt;
  const size_t cut = prompt.rfind(answer_prefix.substr(0, 10));
  KVB_CHECK(cut != prompt.npos, "a prompt without the answer prefix \"{}\"", answer_prefix);
  RulerRecord record;
  record.line = line;
  record.input = prompt.substr(0, cut);
  record.outputs = std::move(sample.draw.answers);
  record.length = sample.length;
  record.length_w_model_temp = sample.length;  // the model template is always `base`
  record.answer_prefix = prompt.substr(cut);
  return record;
}

}  // namespace kvbench::ruler
