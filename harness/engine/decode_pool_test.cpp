// Sequences of several questions that join and leave one batch.
#include "harness/engine/decode_pool.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/full_memory.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

struct Question {
  int64_t context;
  std::vector<int32_t> tokens;
  int64_t max_new_tokens;
};

const std::vector<Question> kQuestions = {
    {7, {5, 6, 7}, 9}, {11, {8, 9}, 3}, {13, {}, 12}, {17, {5}, 1}, {19, {4, 4, 4, 4, 4}, 20}};

// Three policies' caches of a context.
std::vector<CompressedCache> caches_of(int64_t context) {
  static const Policy full(parse_policy_text("full")), keydiff(parse_policy_text("keydiff")),
      evicting(parse_policy_text("{preset: keydiff, decode: {when: overflow}}"));
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < 40 + context; ++i) {
    tokens.push_back(static_cast<int32_t>((i * context + 3) % 96));
  }
  return compress_context(tiny_model(), tokens, {{&full, 0}, {&keydiff, 0.6}, {&evicting, 0.6}}, {})
      .caches;
}

std::vector<GrowingCache> growing(const std::vector<CompressedCache>& caches) {
  std::vector<GrowingCache> all;
  for (const auto& cache : caches) all.push_back(cache.growing());
  return all;
}

std::vector<std::vector<int32_t>> texts(const std::vector<Generation>& answers) {
  std::vector<std::vector<int32_t>> said;
  for (const auto& answer : answers) {
    EXPECT_EQ(answer.error, "");
    said.push_back(answer.tokens);
  }
  return said;
}

TEST(DecodePool, AnswersAreThoseOfEachAlone) {
  std::vector<std::vector<std::vector<int32_t>>> alone;
  for (const Question& question : kQuestions) {
    const auto caches = caches_of(question.context);
    auto& said = alone.emplace_back();
    for (const auto& cache : caches) {
      said.push_back(texts(generate(tiny_model(), {cache.growing()}, question.tokens,
                                    {question.max_new_tokens, {}}))[0]);
    }
  }
  for (const int64_t steps_between : {0, 1, 4, 30}) {
    DecodePool pool(tiny_model());
    std::vector<std::vector<CompressedCache>> caches;
    for (const Question& question : kQuestions) caches.push_back(caches_of(question.context));
    std::vector<std::vector<std::vector<int32_t>>> said(kQuestions.size());
    for (size_t q = 0; q < kQuestions.size(); ++q) {
      pool.ask(growing(caches[q]), kQuestions[q].tokens, {kQuestions[q].max_new_tokens, {}},
               [&, q](const std::vector<Generation>& answers) { said[q] = texts(answers); });
      for (int64_t i = 0; i < steps_between; ++i) pool.step();
    }
    while (pool.is_busy()) pool.step();
    EXPECT_EQ(said, alone) << steps_between;
    EXPECT_EQ(pool.n_running(), 0);
  }
}

TEST(DecodePool, TheNextQuestionMayBeAskedByTheAnswerToTheLast) {
  const auto caches = caches_of(7);
  const std::vector<GrowingCache> full = {caches[0].growing()};
  DecodePool pool(tiny_model());
  std::vector<std::vector<int32_t>> said;
  DecodePool::Done again = [&](const std::vector<Generation>& answers) {
    said.push_back(texts(answers)[0]);
    full[0].cache->rewind();
    if (said.size() < 3) pool.ask(full, {5, 6, 7}, {6, {}}, again);
  };
  pool.ask(full, {5, 6, 7}, {6, {}}, again);
  while (pool.is_busy()) pool.step();
  ASSERT_EQ(said.size(), 3u);
  EXPECT_EQ(said[1], said[0]);
  EXPECT_EQ(said[2], said[0]);
}

TEST(DecodePool, AQuestionThatDoesNotFitLeavesTheOthers) {
  const auto first = caches_of(7), second = caches_of(11);
  DecodePool pool(tiny_model());
  std::vector<std::vector<int32_t>> said;
  pool.ask(growing(first), {5, 6}, {6, {}},
           [&](const std::vector<Generation>& answers) { said = texts(answers); });
  const auto fail = [](const std::vector<Generation>&) { FAIL(); };
  EXPECT_THROW(pool.ask(growing(second), {1 << 20}, {6, {}}, fail), InputError);
  while (pool.is_busy()) pool.step();
  const auto again = caches_of(7);
  EXPECT_EQ(said, texts(generate(tiny_model(), growing(again), {5, 6}, {6, {}})));
}

// What has ended while others of its question go on does not keep the batch's buffers.
TEST(DecodePool, EndedCachesLeaveTheBuffersOfTheBatch) {
  const auto first = caches_of(7), second = caches_of(11);
  DecodePool pool(tiny_model());
  const auto nothing = [](const std::vector<Generation>&) {};
  const auto said = texts(generate(tiny_model(), {caches_of(7)[0].growing()}, {5, 6}, {9, {}}))[0];
  pool.ask(growing(first), {5, 6}, {30, {said[2]}}, nothing);
  for (int i = 0; i < 9; ++i) pool.step();
  ASSERT_LT(pool.n_running(), 3);
  ASSERT_GT(pool.n_running(), 0);
  pool.ask(growing(second), {5, 6}, {30, {}}, nothing);
  pool.step();
  const KvCache::Layer& ended = first[0].cache->layer(0);
  EXPECT_EQ(ended.n_rows(), ended.keys.size(0));
  while (pool.is_busy()) pool.step();
}

// What is asked once is gone with its answer, while others of its question go on as before.
TEST(DecodePool, CachesThatAreAskedOnceGoWithTheirAnswers) {
  const auto first = caches_of(7), second = caches_of(11), again = caches_of(7);
  const auto said = texts(generate(tiny_model(), {caches_of(7)[0].growing()}, {5, 6}, {9, {}}))[0];
  const auto wanted = generate(tiny_model(), growing(again), {5, 6}, {30, {said[2]}});
  DecodePool pool(tiny_model());
  std::vector<GrowingCache> asked = growing(first);
  for (auto& cache : asked) cache.asked_once = true;
  std::vector<Generation> answers;
  pool.ask(asked, {5, 6}, {30, {said[2]}},
           [&](std::vector<Generation> all) { answers = std::move(all); });
  for (int i = 0; i < 9; ++i) pool.step();
  const auto n_held = std::count_if(first.begin(), first.end(), [](const CompressedCache& context) {
    return context.cache->bytes_allocated() > 0;
  });
  EXPECT_EQ(n_held, pool.n_running());
  ASSERT_LT(n_held, 3);
  ASSERT_GT(n_held, 0);
  pool.ask(growing(second), {5, 6}, {30, {}}, [](const std::vector<Generation>&) {});
  while (pool.is_busy()) pool.step();
  EXPECT_EQ(texts(answers), texts(wanted));
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].kv_bytes, wanted[i].kv_bytes);
    EXPECT_EQ(answers[i].kv_bytes, again[i].cache->bytes_logical());
    EXPECT_EQ(answers[i].attended.n_entries, wanted[i].attended.n_entries);
    EXPECT_EQ(first[i].cache->bytes_allocated(), 0);
  }
}

// Whatever allocation fails, once or some in a row: no more than the sequences that it hits fail.
TEST(DecodePool, FullMemoryEndsNoMoreThanItsSequences) {
  const auto run = [](int64_t first, int64_t last, std::vector<std::vector<Generation>>& answers) {
    std::vector<std::vector<CompressedCache>> caches;
    for (const int64_t context : {7, 11, 13}) caches.push_back(caches_of(context));
    answers.assign(caches.size(), {});
    FullMemory memory(first, last);
    DecodePool pool(tiny_model());
    for (size_t q = 0; q < caches.size(); ++q) {
      GenerateOptions options = {static_cast<int64_t>(6 + q), {}};
      if (q == 1) options.sampling.temperature = 0.8;
      pool.ask(growing(caches[q]), {5, 6, 7}, options,
               [&, q](std::vector<Generation> said) { answers[q] = std::move(said); });
      for (size_t i = 0; i < 2 + 3 * q; ++i) pool.step();
    }
    while (pool.is_busy()) pool.step();
    EXPECT_EQ(pool.n_running(), 0);
    return memory.n_allocations();
  };
  std::vector<std::vector<Generation>> sound, answers;
  const int64_t n = run(-1, -1, sound);
  int64_t n_failed = 0;
  for (const int64_t in_a_row : {1, 40}) {
    for (int64_t first = 0; first < n; first += std::max<int64_t>(n / n_failures(500), 1)) {
      ASSERT_NO_THROW(run(first, first + in_a_row - 1, answers)) << first << ", " << in_a_row;
      for (size_t q = 0; q < sound.size(); ++q) {
        ASSERT_EQ(answers[q].size(), sound[q].size()) << first << ", " << in_a_row;
        for (size_t i = 0; i < sound[q].size(); ++i) {
          if (answers[q][i].error.empty()) {
            EXPECT_EQ(answers[q][i].tokens, sound[q][i].tokens) << first << ", " << in_a_row;
          } else {
            ++n_failed;
          }
        }
      }
    }
  }
  EXPECT_GT(n_failed, 0);
}

TEST(DecodePool, DrawsAreTheSameInAnyCompany) {
  const auto drawn = [](uint64_t seed, int64_t max_new_tokens) {
    GenerateOptions options = {max_new_tokens, {}};
    options.sampling = {.temperature = 0.9, .top_p = 0.95};
    options.seed = seed;
    return options;
  };
  std::vector<std::vector<std::vector<int32_t>>> alone, said(3);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    const auto caches = caches_of(7);
    alone.push_back(texts(generate(tiny_model(), growing(caches), {5, 6}, drawn(seed, 20))));
  }
  EXPECT_NE(alone[0], alone[1]);
  std::vector<std::vector<CompressedCache>> caches;
  for (int i = 0; i < 4; ++i) caches.push_back(caches_of(7));
  DecodePool pool(tiny_model());
  std::vector<std::vector<int32_t>> greedy;
  pool.ask(growing(caches[3]), {5, 6}, {25, {}},
           [&](const std::vector<Generation>& answers) { greedy = texts(answers); });
  for (uint64_t seed = 0; seed < 3; ++seed) {
    pool.step();
    pool.ask(growing(caches[seed]), {5, 6}, drawn(seed, 20),
             [&, seed](const std::vector<Generation>& answers) { said[seed] = texts(answers); });
  }
  while (pool.is_busy()) pool.step();
  EXPECT_EQ(said, alone);
  const auto again = caches_of(7);
  EXPECT_EQ(greedy, texts(generate(tiny_model(), growing(again), {5, 6}, {25, {}})));
}

}  // namespace
}  // namespace kvbench
