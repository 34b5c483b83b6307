#include "tasks/ruler/generator.h"

#include "harness/base/error.h"

namespace kvbench::ruler {

std::vector<RulerRecord> RulerGenerator::generate(const GenerateRequest& request,
                                                  const TokenCounter& count_tokens) const {
  const std::unique_ptr<RecordSource> source = start(request, count_tokens);
  std::vector<RulerRecord> records;
  for (int64_t i = 0; i < request.samples; ++i) records.push_back(source->sample(i));
  return records;
}

FittedSamples::FittedSamples(FitRule rule, uint64_t seed, int64_t counted_answer,
                             TokenCounter count_tokens, std::string_view answer_prefix)
    : rule_(std::move(rule)),
      seed_(seed),
      counted_answer_(counted_answer),
      count_tokens_(std::move(count_tokens)),
      answer_prefix_(answer_prefix) {}

void FittedSamples::fit() {
  Random random = random_of(seed_, kShared);
  size_ = fit_size(
      rule_, [&](int64_t size) { return draw(size, 0, random); }, count_tokens_, counted_answer_);
}

RulerRecord FittedSamples::sample(int64_t line) const {
  Random random = random_of(seed_, line);
  return to_record(line,
                   fit_draw(
                       rule_, size_, [&](int64_t size) { return draw(size, line, random); },
                       count_tokens_, counted_answer_),
                   answer_prefix_);
}

// Both are hashed: states of SplitMix64 that differ by a small multiple of its increment would give
// the same numbers a few draws apart.
Random random_of(uint64_t seed, int64_t line) {
  return Random(Random(seed).next() + Random(~static_cast<uint64_t>(line)).next());
}

RulerRecord to_record(int64_t line, FittedDraw sample, std::string_view answer_prefix) {
  const std::string& prompt = sample.draw.prompt;
  const size_t cut = prompt.rfind(answer_prefix.substr(0, 10));
  KVB_CHECK(cut != prompt.npos, "a prompt without the answer prefix \"{}\"", answer_prefix);
  RulerRecord record;
  record.line = line;
  record.index = line;
  record.input = prompt.substr(0, cut);
  record.outputs = std::move(sample.draw.answers);
  record.length = sample.length;
  record.length_w_model_temp = sample.length;  // the model template is always `base`
  record.answer_prefix = prompt.substr(cut);
  return record;
}

}  // namespace kvbench::ruler
