// Several questions on one compressed cache.
#include "harness/sweep/context_runner.h"

#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/generate.h"

namespace kvbench {
namespace {

PromptSample prompt(int64_t id, std::vector<int32_t> context) {
  PromptSample sample;
  sample.sample.id = id;
  sample.context_id = std::to_string(context[0]);
  sample.prompt.context = std::move(context);
  return sample;
}

TEST(ContextRunner, SamplesOfOneContextGoTogether) {
  const std::vector<PromptSample> samples = {prompt(0, {1, 2}), prompt(1, {3}), prompt(2, {1, 2})};
  const auto groups = by_context(samples);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0], (std::vector<const PromptSample*>{&samples[0], &samples[2]}));
  EXPECT_EQ(groups[1], (std::vector<const PromptSample*>{&samples[1]}));
}

TEST(ContextRunner, ASecondQuestionSeesNothingOfTheFirst) {
  const Decoder model(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama31",
                      at::kFloat, at::kCPU);
  std::vector<int32_t> context;
  for (int i = 0; i < 100; ++i) context.push_back((i * 31 + 7) % 96);
  const Policy keydiff(parse_policy_text("keydiff"));
  const auto answer_after = [&](const std::vector<std::vector<int32_t>>& questions) {
    Compressed cut = compress_context(model, context, {{&keydiff, 0.5}}, {});
    KvCache* cache = cut.caches[0].cache.get();
    std::vector<int32_t> last;
    for (const auto& question : questions) {
      last = generate(model, {cut.caches[0].growing()}, question, {8, {}})[0].tokens;
      cache->rewind();
    }
    return last;
  };
  EXPECT_EQ(answer_after({{5, 6}, {7, 8, 9}}), answer_after({{7, 8, 9}}));
}

}  // namespace
}  // namespace kvbench
