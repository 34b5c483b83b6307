// Greedy answers of a batch: what ends one sequence of it and what does not end the others.
#include "harness/engine/generate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

// The full cache of a context, `factor` deciding which.
CompressedCache context(int64_t factor) {
  static const Policy full(parse_policy_text("full"));
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < 50; ++i) tokens.push_back(static_cast<int32_t>((i * factor + 3) % 96));
  return std::move(compress_context(tiny_model(), tokens, {{&full, 0}}, {}).caches[0]);
}

std::vector<int32_t> said_alone(int64_t factor, const std::vector<int32_t>& question) {
  return generate(tiny_model(), {context(factor).growing()}, question, {8, {}})[0].tokens;
}

TEST(Generate, NaNEndsItsOwnSequence) {
  for (const std::vector<int32_t>& question : {std::vector<int32_t>{}, {5, 6, 7}}) {
    const CompressedCache first = context(11), broken = context(29), last = context(37);
    {
      const c10::InferenceMode no_autograd;
      at::Tensor values = broken.cache->layer(1).values;
      values.fill_(NAN);  // met by the first pass over the cache
    }
    const auto answers = generate(tiny_model(), {first.growing(), broken.growing(), last.growing()},
                                  question, {8, {}});
    EXPECT_EQ(answers[1].error,
              question.empty() ? "the logits of step 1 are NaN" : "the logits of step 0 are NaN");
    EXPECT_EQ(answers[1].tokens.size(), question.empty() ? 1u : 0u);
    EXPECT_EQ(answers[0].error, "");
    EXPECT_EQ(answers[0].tokens, said_alone(11, question));
    EXPECT_EQ(answers[2].tokens, said_alone(37, question));
  }
}

// An eviction that knows of no layer throws in the middle of the pass of all: it ends alone.
TEST(Generate, AFailingPassIsTriedInHalves) {
  const Policy evicting(parse_policy_text("{preset: keydiff, decode: {when: overflow}}"));
  Eviction ignorant(evicting, *evicting.decode());
  for (const std::vector<int32_t>& question : {std::vector<int32_t>{}, {5, 6, 7}}) {
    const CompressedCache first = context(11), broken = context(29), last = context(37);
    GrowingCache failing = broken.growing();
    failing.eviction = &ignorant;
    const auto answers =
        generate(tiny_model(), {first.growing(), failing, last.growing()}, question, {8, {}});
    EXPECT_NE(answers[1].error, "");
    EXPECT_EQ(answers[1].tokens.size(), question.empty() ? 1u : 0u);  // what was said until then
    EXPECT_EQ(answers[0].error, "");
    EXPECT_EQ(answers[0].tokens, said_alone(11, question));
    EXPECT_EQ(answers[2].tokens, said_alone(37, question));
  }
}

// A device is asked seldom; what a sequence said behind its end is not heard.
TEST(Generate, AnswersDoNotDependOnHowOftenTheHostLooks) {
  const auto with = [](int64_t look_every) {
    const CompressedCache first = context(11), second = context(29);
    const auto free = said_alone(11, {5, 6, 7});
    GenerateOptions options{13, {free[3]}};
    options.look_every = look_every;
    std::vector<std::vector<int32_t>> said;
    for (const auto& answer :
         generate(tiny_model(), {first.growing(), second.growing()}, {5, 6, 7}, options)) {
      EXPECT_EQ(answer.error, "");
      said.push_back(answer.tokens);
    }
    return said;
  };
  const auto every_step = with(1);
  EXPECT_LT(every_step[0].size(), 13u);
  for (const int64_t look_every : {2, 5, 8, 100}) EXPECT_EQ(with(look_every), every_step);
}

TEST(Generate, AQuestionThatDoesNotFitIsTheCallersError) {
  EXPECT_THROW(generate(tiny_model(), {context(11).growing()}, {1 << 20}, {8, {}}), InputError);
}

TEST(Generate, EndTokensStopBehindTheFewestTokens) {
  const auto free = said_alone(11, {5, 6, 7});
  const auto stopped = [&](int64_t end, int64_t min_new_tokens) {
    GenerateOptions options{8, {end}};
    options.min_new_tokens = min_new_tokens;
    return generate(tiny_model(), {context(11).growing()}, {5, 6, 7}, options)[0].tokens.size();
  };
  EXPECT_EQ(stopped(free[0], 0), 1u);
  EXPECT_EQ(
      generate(tiny_model(), {context(11).growing()}, {5, 6, 7}, {8, {free[0]}})[0].tokens,
      generate(tiny_model(), {context(11).growing()}, {5, 6, 7}, {8, {free[0]}, 1})[0].tokens);
  // At the first end token that has enough before it.
  for (int64_t least = 0; least < 8; ++least) {
    const auto end = std::find(free.begin() + least, free.end(), free[0]);
    const auto want = static_cast<size_t>(end - free.begin()) + (end == free.end() ? 0 : 1);
    EXPECT_EQ(stopped(free[0], least), want) << least;
  }
}

TEST(Generate, EarlyEndTokensCanBeExcluded) {
  const auto free = said_alone(11, {5, 6, 7});
  GenerateOptions options{8, {free[0]}, 1};
  options.exclude_early_ends = true;
  const auto said = generate(tiny_model(), {context(11).growing()}, {5, 6, 7}, options)[0].tokens;
  ASSERT_FALSE(said.empty());
  EXPECT_NE(said[0], free[0]);
  // Where no end token is likely, nothing changes.
  options.end_tokens = {free[1]};
  const auto same = generate(tiny_model(), {context(11).growing()}, {5, 6, 7}, options)[0].tokens;
  EXPECT_EQ(same, std::vector<int32_t>(free.begin(), free.begin() + 2));
}

}  // namespace
}  // namespace kvbench
